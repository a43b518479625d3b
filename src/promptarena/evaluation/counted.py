"""Numbers with their nouns, as messages count things."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, one: str, many: str | None = None) -> str:
    """So many of something.

    >>> counted(1, "call"), counted(1200, "case"), counted(1, "is", "are")
    ('1 call', '1,200 cases', '1 is')

    Args:
        number: how many.
        one: the words for one.
        many: for any other number; with an s at the end where not said.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
