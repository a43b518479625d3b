"""What the simulated model answers where a question comes with the documents that it is to be answered from.

    The vase arrived in pieces.

    Policies:
    - Returns policy 5, damaged on arrival: What arrives damaged is replaced free of charge. ...

It looks for the documents whose words the question has most of. How well it does with them depends on the
prompt, as in `bot`: naming policies helps, and so does being told to promise nothing; a prompt that asks for
every policy that applies has it look for a second one, and only one that asks to say when none does has it
admit that.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

__all__ = ["Grounded", "Habits", "grounded_reply", "split_documents"]

_MARK: Final = re.compile(r"\n+Policies:\n")
_WORD: Final = re.compile(r"[a-z0-9]+")
_SAYS_LITTLE: Final = frozenset(
    _WORD.findall(
        "a an the i my me you your it its is are was were of to on in at for and or but not no do does did "
        "can be have has had will would what when how that this there from by with please one if so we our "
        "they them order shop customer"
    )
)
_ALSO: Final = 0.6
"""A second document applies whose score is at least this much of the best one's."""
_APPLIES: Final = 1.0
"""The least score of a document that has anything to do with the question."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What a prompt asks for."""

    cites: bool
    careful: bool
    complete: bool
    """Whether every policy that applies is asked for."""
    honest: bool
    """Whether it is asked to say so where none applies."""

    @classmethod
    def of(cls, system: str, *, cites: bool, careful: bool) -> Habits:
        """Read them out of a prompt."""
        complete = re.search(r"\b(every|each|all)\b[^.]*\bpolic", system, re.IGNORECASE)
        honest = re.search(r"\bno(ne)?\b[^.]*\bpolic|\bsay so\b", system, re.IGNORECASE)
        return cls(cites, careful, complete is not None, honest is not None)


@dataclass(frozen=True, slots=True)
class Grounded:
    """A question and what it is to be answered from."""

    question: str
    documents: tuple[tuple[str, str], ...]
    """Names and texts."""


def split_documents(message: str) -> Grounded | None:
    """A message's question and documents; `None` where it has no such part."""
    parts = _MARK.split(message, maxsplit=1)
    if len(parts) == 1:
        return None
    lines = [line[2:] for line in parts[1].splitlines() if line.startswith("- ")]
    named = (line.partition(": ") for line in lines)
    return Grounded(parts[0].strip(), tuple((name, text) for name, _, text in named if text))


def grounded_reply(asked: Grounded, habits: Habits, chance: float, draw: Random) -> list[str]:
    """The sentences that answer, between greeting and close.

    Args:
        chance: of a right answer.
    """
    fitting = _fitting(asked)
    right = draw.random() < chance
    if not fitting:
        if right and habits.honest:
            return [
                "None of our policies covers this, so I cannot promise you anything here.",
                "I will pass it on to a colleague who can decide it.",
            ]
        return [
            "That should not be a problem at all, it will be taken care of.",
            *(["We will find a generous solution for you."] if not habits.careful else []),
        ]
    if not right:
        wrong = ["Usually this sorts itself out; please wait a little and write again if it does not."]
        if not habits.careful and draw.random() < 0.4:
            wrong.append("We will refund you in any case.")
        return wrong
    chosen = fitting if habits.complete else fitting[:1]
    return [f"{name} decides this. {text}" if habits.cites else text for name, text in chosen]


def _fitting(asked: Grounded) -> list[tuple[str, str]]:
    """The documents that apply, the best one first."""
    words = {name: _words(f"{name} {text}") for name, text in asked.documents}
    common = Counter(word for known in words.values() for word in known)
    question = _words(asked.question)
    scores = [
        (sum(1 / common[word] for word in words[name] & question), name, text)
        for name, text in asked.documents
    ]
    best = max((score for score, _, _ in scores), default=0.0)
    if best < _APPLIES:
        return []
    ordered = sorted(scores, key=lambda each: -each[0])
    return [(name, text) for score, name, text in ordered if score >= max(_ALSO * best, _APPLIES)]


def _words(text: str) -> set[str]:
    """Words without their endings, so that parcels are a parcel."""
    return {_stem(word) for word in _WORD.findall(text.lower()) if word not in _SAYS_LITTLE}


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s", "e"):
        if len(word) - len(ending) >= 3 and word.endswith(ending):
            return word[: -len(ending)]
    return word
