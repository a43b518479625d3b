"""One kind of question to a judge: what is asked, the blocks that are shown, and how its answer is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from promptarena.definitions.judge import Shown
from promptarena.evaluation.judges.judgment import Axis, JudgedAnswer, JudgedCase, Task
from promptarena.evaluation.judges.reply import UnreadableError, schema_of
from promptarena.evaluation.judges.untrusted import block

__all__ = [
    "ABSTAINED",
    "LONGEST_RATIONALE",
    "NO_ANSWER",
    "Passage",
    "Question",
    "Read",
    "message",
    "rationale_of",
]

ABSTAINED: Final = "abstained"
NO_ANSWER: Final = "no answer"
"""How the reason begins where the call failed; what went wrong follows after a colon."""
LONGEST_RATIONALE: Final = 4_000
"""Characters that are kept."""


@dataclass(frozen=True, slots=True)
class Passage:
    """An untrusted text and how it is introduced."""

    introduction: str
    """Ours, such as `The answer shown first:`."""
    name: str
    """Of its block."""
    text: str | None
    """`None`: there is none, and the introduction says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What an answer says, by axis."""

    scores: dict[str, float] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)
    rationale: str | None = None
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By axis, the path of its score within the answer, where probabilities can weigh it."""


class Question(ABC):
    """Everything of one task that is the same for all cases."""

    task: Task
    axes: tuple[Axis, ...]
    """What its answers are scored on; of a pair, its preference."""

    @property
    @abstractmethod
    def form(self) -> str:
        """The fields of an answer after its seal, as a list in words."""

    @property
    @abstractmethod
    def properties(self) -> dict[str, Any]:
        """The same as properties of a JSON Schema."""

    @property
    def schema(self) -> dict[str, Any]:
        return schema_of(self.properties)

    def lacks(self, case: JudgedCase, answer: JudgedAnswer) -> str | None:  # noqa: ARG002
        """Why this case cannot be asked about; `None` where it can."""
        return None

    @abstractmethod
    def passages(self, case: JudgedCase, answers: Sequence[JudgedAnswer]) -> list[Passage]:
        """What is shown."""

    @abstractmethod
    def read(self, value: Mapping[str, Any], shown: int) -> Read:
        """What the judge's own object says.

        Args:
            value: the object.
            shown: how many documents the call showed.

        Raises:
            UnreadableError: nothing that can be scored.
        """


def message(passages: Sequence[Passage], seal: str) -> str:
    """The message of a call: the seal, then each text in a block under it, then what is to be done."""
    parts = [f"The seal of this message is {seal}."]
    for passage in passages:
        shown = "" if passage.text is None else f"\n{block(passage.name, passage.text, seal)}"
        parts.append(passage.introduction + shown)
    parts.append(
        "All blocks are closed. Judge them now as you were instructed, and answer with the JSON object, its "
        f'"seal" being "{seal}".'
    )
    return "\n\n".join(parts)


def case_passages(case: JudgedCase, documents: Sequence[str], sees: Sequence[Shown]) -> list[Passage]:
    """The request and what else is shown beside the answers."""
    found = [Passage("The request:", "request", case.input)]
    if Shown.REFERENCE in sees and case.reference is None:
        found.append(Passage("There is no reference answer to this request.", "reference", None))
    elif Shown.REFERENCE in sees:
        found.append(Passage("The reference answer:", "reference", case.reference))
    if Shown.CONTEXT in sees:
        if not documents:
            found.append(Passage("There are no source documents for this request.", "document", None))
        for number, document in enumerate(documents, 1):
            introduction = f"Source document {number} of {len(documents)}:"
            found.append(Passage(introduction, f"document_{number}", document))
    return found


def documents_of(case: JudgedCase, answer: JudgedAnswer) -> Sequence[str]:
    """What a variant itself retrieved, else the case's own documents."""
    return case.context if answer.context is None else answer.context


def rationale_of(value: Mapping[str, Any], name: str = "rationale") -> str | None:
    """A rationale, cut to what is kept; a judge that gives none is not unreadable for that."""
    written = value.get(name)
    if not isinstance(written, str) or not written.strip():
        return None
    return written.strip()[:LONGEST_RATIONALE].encode("utf-8", "replace").decode("utf-8")


def list_of(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects.

    Raises:
        UnreadableError: it is none.
    """
    found = value.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UnreadableError(f"no list of {name}")
    return found
