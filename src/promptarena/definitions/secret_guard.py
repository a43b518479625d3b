"""Whether a text looks like a secret, so that definitions refuse it and messages do not repeat it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["looks_secret"]

_KNOWN: Final = re.compile(
    r"""
    \b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}            # model providers
    | \b(?:sk|rk)_live_[A-Za-z0-9]{16,}
    | \bAKIA[0-9A-Z]{16}\b
    | \bgh[pousr]_[A-Za-z0-9]{30,}
    | \bxox[abprs]-[A-Za-z0-9-]{10,}
    | \bAIza[0-9A-Za-z_-]{30,}
    | \bhf_[A-Za-z0-9]{30,}
    | -----BEGIN[ ](?:[A-Z]+[ ])?PRIVATE[ ]KEY-----
    | \bBearer[ ]+[A-Za-z0-9._~+/-]{16,}
    """,
    re.VERBOSE,
)


def looks_secret(text: str) -> bool:
    """Whether the text holds something shaped like a known kind of API key.

    >>> looks_secret("sk-proj-0123456789abcdefghij"), looks_secret("OPENAI_API_KEY")
    (True, False)
    """
    return _KNOWN.search(text) is not None
