"""Removing personal data from content before it is written: addresses, phone, card and account numbers.

What is replaced is named in its place, `[email]`, so that a judge still sees that something stood there. No
pattern finds everything; what must not be stored at all should not be sampled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

__all__ = ["REDACTIONS", "is_card_number", "is_iban", "personal_data", "redact_text", "redacted"]

Put = Callable[[str], str]
"""What to put in the place of what was found."""

# The part before the sign is at most 64 characters long (RFC 5321, 4.5.3.1.1), which also bounds the search.
_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[\w.+%!#$&'*/=?^`{|}~-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w-])"
)
# Groups of digits, parted by single spaces, dots or dashes; a card number is 13 to 19 digits (ISO/IEC 7812).
_DIGITS: Final = re.compile(r"(?<![\w.-])\d(?:[ .\u00a0-]?\d){12,63}(?![\w-]|\.\d)")
# Either an international prefix, or separators as people write them; a bare run of digits is no phone number.
_PHONE: Final = re.compile(
    r"""(?<![\w./:-])
    (?:
        (?:\+|\b00)\d{1,3}(?:[ .\u00a0/-]?\(?\d{1,5}\)?){2,6}
      | \(\d{2,5}\)[ .\u00a0-]?\d{3,4}(?:[ .\u00a0-]?\d{2,4}){1,3}
      | 0\d{2,4}[ /\u00a0-]\d{3,4}(?:[ \u00a0-]?\d{2,4}){0,3}
      | \d{3}[ .\u00a0-]\d{3}[ .\u00a0-]\d{4}
    )
    (?![\w-]|\.\d)""",
    re.VERBOSE,
)
_MOST_DIGITS_OF_A_CARD: Final = 19
_DIGITS_OF_A_PHONE: Final = range(7, 16)
# Country, check digits, then 11 to 30 characters (ISO 13616), as they are or in groups of four.
_IBAN: Final = re.compile(
    r"(?<!\w)[A-Za-z]{2}\d{2}(?:[ \u00a0]?[A-Za-z0-9]{4}){2,7}(?:[ \u00a0]?[A-Za-z0-9]{1,3})?(?!\w)"
)
_IP: Final = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))"
)


def is_card_number(text: str) -> bool:
    """Whether the digits of a text are as many as a payment card's and pass Luhn's check (ISO/IEC 7812-1).

    >>> is_card_number("4111 1111 1111 1111"), is_card_number("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= _MOST_DIGITS_OF_A_CARD or not any(digits):
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether a text is a bank account number whose check digits are right (ISO 13616, ISO 7064 mod 97-10).

    >>> is_iban("GB82 WEST 1234 5698 7654 32"), is_iban("GB83 WEST 1234 5698 7654 32")
    (True, False)
    """
    compact = "".join(text.split()).upper()
    if not 15 <= len(compact) <= 34 or not compact.isascii() or not compact.isalnum():
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def redact_text(text: str, what: Collection[str]) -> str:
    """A text with everything of these sorts replaced.

    >>> redact_text("Mail ann@example.org or call +44 20 7946 0958.", ["email", "phone"])
    'Mail [email] or call [phone].'
    """
    for sort, replace in _REPLACE.items():
        if sort in what:
            text = replace(text, partial(_marked, sort))
    return text


def _marked(sort: str, _found: str) -> str:
    return f"[{sort}]"


def personal_data(text: str) -> list[tuple[str, str]]:
    """What of these sorts stands in a text: its sort and itself, sort by sort.

    >>> personal_data("Mail ann@example.org or call +44 20 7946 0958.")
    [('email', 'ann@example.org'), ('phone', '+44 20 7946 0958')]
    """
    seen: list[tuple[str, str]] = []
    for sort, replace in _REPLACE.items():

        def put(found: str, sort: str = sort) -> str:
            seen.append((sort, found))
            return f"[{sort}]"

        text = replace(text, put)
    return seen


def redacted(value: Any, what: Collection[str]) -> Any:
    """The same of every text, key and whole number in a JSON value."""
    if isinstance(value, str):
        return redact_text(value, what)
    if isinstance(value, dict):
        return {redacted(key, what): redacted(item, what) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, what) for item in value]
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and "card" in what
        and is_card_number(str(value))
    ):
        return "[card]"
    return value


def _emails(text: str, put: Put) -> str:
    return _EMAIL.sub(lambda found: put(found[0]), text) if "@" in text else text


def _cards(text: str, put: Put) -> str:
    return _DIGITS.sub(lambda found: _cards_among(found[0], put), text)


def _cards_among(run: str, put: Put) -> str:
    """Of groups of digits, those together that make a card number: a date may stand beside it."""
    parts = re.split(r"(\D)", run)  # groups at even places, what parts them at odd ones
    for first in range(0, len(parts), 2):
        number = ""
        for last in range(first, len(parts), 2):
            number += parts[last]
            if len(number) > _MOST_DIGITS_OF_A_CARD:
                break
            if is_card_number(number):
                before, after = "".join(parts[:first]), "".join(parts[last + 1 :])
                here = put("".join(parts[first : last + 1]))
                return f"{before}{here}{after[:1]}{_cards_among(after[1:], put)}"
    return run


def _ibans(text: str, put: Put) -> str:
    return _IBAN.sub(lambda found: put(found[0]) if is_iban(found[0]) else found[0], text)


def _ips(text: str, put: Put) -> str:
    def replace(found: re.Match[str]) -> str:
        try:
            ip_address(found[0])
        except ValueError:
            return found[0]
        return put(found[0])

    return _IP.sub(replace, text)


def _phones(text: str, put: Put) -> str:
    def replace(found: re.Match[str]) -> str:
        digits = sum(character.isdigit() for character in found[0])
        return put(found[0]) if digits in _DIGITS_OF_A_PHONE else found[0]

    return _PHONE.sub(replace, text)


_REPLACE: Final[dict[str, Callable[[str, Put], str]]] = {
    "email": _emails,
    "iban": _ibans,
    "ip": _ips,
    "card": _cards,
    "phone": _phones,
}
"""In this order: groups of digits of an account, an address or a card would pass for a phone number."""

REDACTIONS: Final = tuple(_REPLACE)
"""What can be redacted, by the names used in `arena.yaml`."""
