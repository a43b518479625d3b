"""Which models are kin, so that a judge that may prefer its own kind is told of.

Models score texts of their own and of their family higher than people do (Zheng et al. 2023, "Judging
LLM-as-a-Judge with MT-Bench and Chatbot Arena", section 3.3; Panickssery et al. 2024, "LLM Evaluators
Recognize and Favor Their Own Generations"). The table is data: `model_families.json`; the first entry that
fits counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

__all__ = ["family_of", "self_preference"]


def family_of(model: str) -> str | None:
    """The family of a model's name; `None` where it is not known.

    One of the family's words has to stand in it as a word, with digits behind it or not, whatever router,
    tuning or date stands around.

    >>> [family_of(name) for name in ("openai/gpt-4o-2024-08-06", "us.anthropic.claude-haiku-4-5", "our-own")]
    ['openai', 'anthropic', None]
    >>> [family_of(name) for name in ("deepseek-r1-distill-qwen-32b", "ft:gpt-4o-mini:acme::7p4l", "logo1")]
    ['qwen', 'openai', None]
    """
    for family, pattern in _patterns():
        if pattern.search(model.casefold()):
            return family
    return None


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    table = json.loads(
        files("promptarena.evaluation.judges").joinpath("model_families.json").read_text("utf-8")
    )
    return tuple(
        (family, re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, words))})(?![a-z])"))
        for family, words in table
    )


def self_preference(members: Mapping[str, str], variants: Mapping[str, str | None]) -> Iterator[str]:
    """A note for each family of a judge's models that is kin to some variants but not to all.

    Where all variants are of the judge's family nobody is preferred to anybody by it.

    Args:
        members: the judge's models, by the name that people know them by.
        variants: each variant's model; `None` where it is not known.
    """
    known = {name: _kind(model) for name, model in variants.items() if model is not None}
    for kind in dict.fromkeys(map(_kind, members.values())):
        judges = [shown for shown, model in members.items() if _kind(model) == kind]
        kin = [name for name, other in known.items() if other == kind]
        if kin and len(kin) < len(variants):
            yield (
                f"{' and '.join([*judges, *kin])} are of one model family ({kind}): judges tend to prefer "
                "their own kind, so have people or a judge of another family check the result"
            )


def _kind(model: str) -> str:
    """The family; of a model of none that is known, itself."""
    return family_of(model) or model
