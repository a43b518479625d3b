"""What is asked of a judge before it may decide, and the sentence that says whether it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from promptarena.definitions.calibration_readout import Measure
from promptarena.stats.judge_audit import Trust, decide_trust, labels_needed

__all__ = ["Policy", "judged_by"]

_BIAS_ALPHA: Final = 0.05
"""Below this p-value a judge favours a variant by more than chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Declared before the audit."""

    threshold: float = 0.8
    """What the lower bound of the agreement must reach."""
    within: float = 0.5
    """How far a score may be from people's mean and still agree; 0.5 is the nearest of whole levels."""
    confidence: float = 0.95
    control: str | None = None
    """The variant that differences are taken from."""


def judged_by(
    policy: Policy, task: str, agreement: Measure, bias_p_value: float | None
) -> tuple[Trust, tuple[str, ...]]:
    """Whether the judge is enabled for a task, and why, the decisive sentence first."""
    if agreement.value is None or agreement.interval is None:
        return Trust.RECALIBRATE, (f"{task}: nothing that people labelled has a judgment to compare with.",)
    low, high = agreement.interval
    agreeing = round(agreement.value * agreement.items)
    found = (
        f"{task}: the judge agrees with people on {agreeing:,} of {agreement.items:,}, "
        f"{agreement.value:.1%} [{low:.1%}, {high:.1%}]"
    )
    trust = decide_trust(low, policy.threshold)
    if trust is Trust.ENABLE:
        reasons = [f"{found}; the lower bound reaches the {policy.threshold:.0%} that is asked."]
    elif high is not None and high < policy.threshold:
        reasons = [f"{found}; even the upper bound is below the {policy.threshold:.0%} that is asked."]
    else:
        reasons = [f"{found}; the lower bound does not reach the {policy.threshold:.0%} that is asked."]
        needed = labels_needed(agreement.value, policy.threshold, confidence=policy.confidence)
        if needed is not None and needed > agreement.items:
            reasons.append(f"If agreement stays as it is, about {needed:,} labels would show it.")
        elif agreement.value <= policy.threshold:
            reasons.append(
                f"At {agreement.value:.0%} no number of labels shows {policy.threshold:.0%}: unless more of "
                "them agree, change the rubric, the prompt or the model."
            )
    if bias_p_value is not None and bias_p_value < _BIAS_ALPHA:
        trust = Trust.RECALIBRATE
        reasons.insert(
            0,
            f"{task}: the judge's bias is not the same for all variants (p {bias_p_value:.2g}): it favours "
            "some, and so would a comparison by it.",
        )
    return trust, tuple(reasons)
