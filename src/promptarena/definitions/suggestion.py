"""The nearest accepted name to one that is not accepted."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean", "listed", "nearest"]


def nearest(name: str, accepted: Iterable[str], likeness: float = 0.6) -> str | None:
    """The accepted name that is most like `name`, if any is at least this like it (0 to 1, difflib's ratio).

    >>> nearest("resolutoin", ["csat", "resolution"])
    'resolution'
    """
    by_lower = {candidate.lower(): candidate for candidate in accepted}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=likeness)
    return by_lower[close[0]] if close else None


def did_you_mean(name: str, accepted: Iterable[str]) -> str | None:
    """The same as a question, for a hint."""
    close = nearest(name, accepted)
    return f"Did you mean `{close}`?" if close else None


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names in a sentence.

    >>> listed(["a", "b"])
    '`a`, `b`'
    """
    names = list(names)
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") if names else "none"
