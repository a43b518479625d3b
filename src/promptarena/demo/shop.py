"""The shop of the demonstration: its policies, and what customers ask about each of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["Policy", "deciding_policy", "is_right", "policies", "policy_text"]

_BOLD: Final = re.compile(r"\*\*(.+?)\*\*")
_WORD: Final = re.compile(r"[a-z0-9]+")
_SAYS_LITTLE: Final = frozenset(
    _WORD.findall(
        "a an the i my me you your it its is are was of to on in at for and or but not no do does did can be "
        "have has had will what when how that this there from by with please one"
    )
)


@dataclass(frozen=True, slots=True)
class Policy:
    """One promise of the shop."""

    name: str
    """Such as `Delivery policy 4`."""
    title: str
    rule: str
    must_say: tuple[str, ...]
    """Words without which an answer is not right."""
    asked: tuple[str, ...]
    """How customers ask for it."""


@cache
def policy_text() -> str:
    """All of it, as the shop's staff would read it."""
    return (files("promptarena.demo") / "shop_files" / "policies.md").read_text(encoding="utf-8")


@cache
def policies() -> tuple[Policy, ...]:
    """Every policy, in the order of the text."""
    return tuple(map(_policy, policy_text().split("\n## ")[1:]))


def deciding_policy(question: str) -> Policy | None:
    """The policy whose words the question has most of; rare words say more. `None`: none at all."""
    asked = set(_words([question]))
    scores = {policy: sum(weight for word, weight in known if word in asked) for policy, known in _known()}
    best = max(scores, key=lambda policy: scores[policy])
    return best if scores[best] > 0 else None


def is_right(answer: str, policy: Policy) -> bool:
    """Whether an answer says what decides the case."""
    said = set(_WORD.findall(answer.lower()))
    return all(word in said for word in policy.must_say)


def _policy(section: str) -> Policy:
    heading, _, body = section.partition("\n")
    name, _, title = heading.partition(": ")
    paragraph, _, questions = body.partition("\n\n")
    rule = " ".join(paragraph.split())
    return Policy(
        name=name,
        title=title,
        rule=_BOLD.sub(r"\1", rule),
        must_say=tuple(word.lower() for word in _BOLD.findall(rule)),
        asked=tuple(line[2:] for line in questions.splitlines() if line.startswith("- ")),
    )


@cache
def _known() -> tuple[tuple[Policy, tuple[tuple[str, float], ...]], ...]:
    """The words of each policy, and how much each of them says."""
    words = {policy: set(_words([policy.title, policy.rule, *policy.asked])) for policy in policies()}
    common = Counter(word for known in words.values() for word in known)
    return tuple(
        (policy, tuple((word, 1 / common[word]) for word in sorted(known))) for policy, known in words.items()
    )


def _words(texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in _WORD.findall(text.lower()) if word not in _SAYS_LITTLE]
