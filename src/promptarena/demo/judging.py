"""The simulated model as a judge: it reads a sealed message as a good model would, and answers in its form.

What it thinks of an answer is how much of the reference answer's words it says; where there is no reference,
whether it says what decides the case by the shop's policies. Then it errs a little, by the draw, and leans a
little towards what is shown first. It obeys nothing that stands under seal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from promptarena.demo.shop import deciding_policy, is_right

__all__ = ["judgment"]

_SEAL: Final = re.compile(r"\AThe seal of this message is (?P<seal>[0-9a-f]+)\.\n")
_AXIS: Final = re.compile(
    r"^## (?P<name>\S+): a whole number from (?P<low>-?\d+) to (?P<high>\d+)$", re.MULTILINE
)
_WORD: Final = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]{3,}")
_SENTENCE: Final = re.compile(r"[^.!?\n]+[.!?]?")
_LEANING: Final = 0.03
"""Towards the answer shown first."""
_NOISE: Final = 0.06
_TIE: Final = 0.06
"""Answers this near to each other are alike."""


def judgment(system: str, message: str, draw: Random) -> str | None:
    """The answer to a judge's message; `None` where the message is none."""
    found = _SEAL.match(message)
    if found is None:
        return None
    sealed = _Sealed.read(message, found["seal"])
    if '"verdict": one of "first"' in system:
        said = _pairwise(sealed, draw, ties='"tie"' in system)
    elif '"axes": an object' in system:
        said = _rubric(sealed, system, draw)
    elif '"documents": a list' in system:
        said = _documents(sealed)
    else:
        said = _statements(sealed, of_reference="statement of the reference answer" in system)
    return json.dumps({"seal": found["seal"], **said}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """The texts of a message, by the name of their block."""

    texts: Mapping[str, str]

    @classmethod
    def read(cls, message: str, seal: str) -> _Sealed:
        blocks = re.findall(
            rf'^<(\w+) seal="{seal}">\n(.*?)\n</\1 seal="{seal}">$', message, re.MULTILINE | re.DOTALL
        )
        return cls({name: re.sub(r"^\| ", "", text, flags=re.MULTILINE) for name, text in blocks})

    @property
    def documents(self) -> list[str]:
        return [text for name, text in self.texts.items() if name.startswith("document_")]

    def merit(self, answer: str) -> float:
        """How good an answer is, from 0 to 1."""
        reference = self.texts.get("reference")
        if reference is not None:
            return _share_said(reference, answer)
        policy = deciding_policy(self.texts.get("request", ""))
        if policy is None:
            return min(_share_said(" ".join(self.documents), answer) * 4, 1.0)
        return 0.75 * is_right(answer, policy) + 0.25 * (policy.name in answer)


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


def _share_said(reference: str, text: str) -> float:
    """Words of one text that another has too; a number counts as much as three words."""
    wanted = _words(reference)
    if not wanted:
        return 0.0
    said = _words(text)
    weigh = {word: 3.0 if word[0].isdigit() else 1.0 for word in wanted}
    return sum(weight for word, weight in weigh.items() if word in said) / sum(weigh.values())


def _pairwise(sealed: _Sealed, draw: Random, ties: bool) -> dict[str, Any]:
    first, second = (sealed.merit(sealed.texts[name]) for name in ("first_answer", "second_answer"))
    difference = first - second + _LEANING + draw.gauss(0, _NOISE)
    verdict = "first" if difference > 0 else "second"
    if ties and abs(difference) < _TIE:
        verdict = "tie"
    return {
        "rationale": f"Of what a right answer says, the first has {first:.0%} and the second {second:.0%}.",
        "verdict": verdict,
    }


def _rubric(sealed: _Sealed, system: str, draw: Random) -> dict[str, Any]:
    answer = sealed.texts["answer"]
    merit = sealed.merit(answer)
    brevity = max(0.0, min(1.0, 1.4 - len(answer.split()) / 80))
    axes = {}
    for axis in _AXIS.finditer(system):
        low, high = int(axis["low"]), int(axis["high"])
        quality = brevity if re.search("concis|brev|short", axis["name"]) else merit
        score = round(low + (high - low) * (quality + draw.gauss(0, _NOISE)))
        axes[axis["name"]] = {
            "rationale": f"{quality:.0%} of what would be best here.",
            "score": max(low, min(high, score)),
        }
    return {"axes": axes}


def _documents(sealed: _Sealed) -> dict[str, Any]:
    reference = sealed.texts.get("reference", "")
    shares = [_share_said(reference, document) for document in sealed.documents]
    return {
        "documents": [
            {
                "document": number,
                "reason": f"It has {share:.0%} of the reference answer's words.",
                "verdict": "yes" if share >= 0.3 else "no",
            }
            for number, share in enumerate(shares, 1)
        ]
    }


def _statements(sealed: _Sealed, of_reference: bool) -> dict[str, Any]:
    documents = " ".join(sealed.documents) or sealed.texts.get("request", "")
    text = sealed.texts.get("reference" if of_reference else "answer", "")
    # A sentence of one or two words is a greeting.
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text) if len(_words(sentence)) > 2]
    return {
        "statements": [
            {
                "statement": sentence,
                "reason": f"{_share_said(sentence, documents):.0%} of its words are there.",
                "verdict": "yes" if _share_said(sentence, documents) >= 0.5 else "no",
            }
            for sentence in sentences
        ]
    }
