"""All that a node serves by, and its form on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from promptarena.storage.registry.records import BaselineRecord, Standing

__all__ = ["KnownState", "decode_state", "encode_state"]

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownState:
    """The experiments that have not ended and every feature's baseline, in one consistent view."""

    changes: int
    """How often anything of it was changed; more is later."""
    at: datetime
    """When it was read."""
    experiments: tuple[Standing, ...] = ()
    baselines: dict[str, BaselineRecord] = field(default_factory=dict)
    """By feature; a feature that nobody experimented on is not here but in arena.yaml alone."""


class _Envelope(msgspec.Struct):
    format: int
    registry: str
    state: KnownState


def encode_state(state: KnownState, registry: str) -> bytes:
    """A state as it is kept on disk.

    Args:
        state: to be kept.
        registry: whose it is, so that another registry's is never served.
    """
    return msgspec.json.encode(_Envelope(_FORMAT, registry, state))


def decode_state(data: bytes, registry: str) -> KnownState:
    """Read what `encode_state` wrote.

    Raises:
        ValueError: it is damaged, of another version, or another registry's.
    """
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
    except msgspec.DecodeError as error:
        raise ValueError(f"it is damaged or of another version ({error})") from None
    if envelope.format != _FORMAT:
        raise ValueError(f"it has format {envelope.format}, this version reads {_FORMAT}")
    if envelope.registry != registry:
        raise ValueError(f"it is of another registry ({envelope.registry})")
    return envelope.state
