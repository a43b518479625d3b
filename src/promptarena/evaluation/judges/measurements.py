"""Judgments as measurements of the event log, in the same words as those of live traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from promptarena.definitions.events import Measurement
from promptarena.evaluation.judges.judgment import Judgment, Task

__all__ = ["measurements"]

_LABELS = {1.0: "first", 0.5: "tie", 0.0: "second"}


def measurements(
    judgment: Judgment, requests: Mapping[str, str], *, evaluator: str, evaluator_hash: str, at: datetime
) -> Iterator[Measurement]:
    """One measurement an axis, of the answer that was scored; of a pair, of the answer shown first.

    What is unscored has no value, the label `unscored`, and its reason as the rationale.

    Args:
        judgment: what was read.
        requests: by variant, the `request_id` of the generation that was judged.
        evaluator: the judge's name, of a panel with the member's.
        evaluator_hash: of the judge's whole configuration.
        at: when the judgment came.

    Raises:
        KeyError: a variant has no request.
    """
    subject = judgment.subject
    pair = subject.task is Task.PAIRWISE
    for name in (*judgment.scores, *judgment.unscored):
        score = judgment.scores.get(name)
        label = "unscored" if score is None else _LABELS[score] if pair else None
        yield Measurement(
            ts=at,
            name=name,
            target_kind="request",
            target=requests[subject.variant],
            source="judge",
            value=score,
            label=label,
            against=requests[subject.against] if subject.against is not None else None,
            position=0 if pair else None,
            evaluator=evaluator,
            evaluator_hash=evaluator_hash,
            rationale=judgment.unscored.get(name, judgment.rationale),
        )
