"""Where a unit falls: one SHA-256 of a salt and the unit's id, read as two independent numbers.

    digest = sha256(salt + unit)        the salt is the experiment's name and a slash
    enrolment: bytes 0-7 / 2^64         is this unit in the traffic share?
    variant:   bytes 8-15 / 2^64        which of the enrolled's variants?

Both numbers are unsigned 64-bit integers, most significant byte first, so bytes sort as the numbers they
spell: `digest < bound(share)` compares the enrolment without reading a number at all.
"""

from __future__ import annotations

import math
from hashlib import sha256
from typing import Final

__all__ = ["LONGEST_UNIT", "POINTS", "bound", "cut", "digest", "experiment_salt", "layer_salt"]

POINTS: Final = 2**64
"""How many values an enrolment or variant number has."""
LONGEST_UNIT: Final = 512
"""Bytes of a unit's id in UTF-8; events hold no longer names."""
_ABOVE_ALL: Final = b"\xff" * 33
"""Greater than every digest and every part of one."""


def experiment_salt(experiment: str) -> bytes:
    """The salt of an experiment's digests. No name holds a slash, so no two salts run into each other.

    >>> experiment_salt("support-cites-policy")
    b'support-cites-policy/'
    """
    return f"{experiment}/".encode()


def layer_salt(layer: str) -> bytes:
    """The salt of a layer's digests; no name holds a colon, so no experiment has it too.

    >>> layer_salt("support-bot")
    b'layer:support-bot/'
    """
    return f"layer:{layer}/".encode()


def digest(salt: bytes, unit: str) -> bytes:
    """The 32 bytes that decide about a unit: SHA-256 of the salt and the id in UTF-8, exactly as given.

    >>> digest(experiment_salt("support-cites-policy"), "conversation-1").hex()[:32]
    'd6729761dad4ecc0ec69eef85f913424'
    """
    return sha256(salt + unit.encode()).digest()


def cut(share: float) -> int:
    """The least number that is not below a share of all: `number < cut(share)` iff `number / 2^64 < share`.

    It is exact: a float times a power of two loses nothing.

    >>> cut(0.5) == 2**63, cut(1) == POINTS
    (True, True)

    Raises:
        ValueError: not a share in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1; found {share}")
    return math.ceil(share * POINTS)


def bound(number: int) -> bytes:
    """A number as bytes to compare with: `part < bound(n)` iff the number that `part` begins with is below n.

    >>> bytes.fromhex("7fffffffffffffff") < bound(cut(0.5)) <= bytes.fromhex("8000000000000000")
    True
    """
    return number.to_bytes(8, "big") if number < POINTS else _ABOVE_ALL
