"""Interleaving: the items of two rankers in one list, so that the same user compares them at one moment.

unit: request
primary: clicked                       # whose item it was gets the credit
interleave: {method: team-draft, slots: 5, cluster: query}
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from promptarena.definitions.frozen import Shorthand
from promptarena.definitions.names import Name
from promptarena.definitions.quantities import Whole

__all__ = ["Interleave", "InterleaveMethod"]


class InterleaveMethod(StrEnum):
    """How two rankings become one list."""

    TEAM_DRAFT = "team-draft"
    """They pick in turn like captains, and a coin says who picks first in every round."""
    BALANCED = "balanced"
    """Both are read down at the same pace, and one coin says who goes first throughout."""


class Interleave(Shorthand):
    """How lists are merged, and what they have in common."""

    shorthand: ClassVar[str] = "method"

    method: InterleaveMethod = InterleaveMethod.TEAM_DRAFT
    slots: Annotated[Whole, Field(ge=2, le=50)] = 10
    """Items in a merged list, at most."""
    cluster: Name | None = None
    """The attribute that lists may share, such as the query or the user: the interval then counts its values
    as one. Without it every list stands alone."""
