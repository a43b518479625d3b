"""Effects under weights that move: propensity-weighted within epochs, and valid whenever one looks.

Metrics that are one number a unit are followed by `adaptive_contrast`. A ratio or a quantile is no mean of a
unit's numbers: its differences are taken within epochs, weighted by the epochs' units, and the same kind of
sequence runs on the number of units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from promptarena.analysis.arrivals import EpochWeights, treatment_share
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair
from promptarena.analysis.hypotheses import NO_MARGIN, good_sign
from promptarena.definitions.bandit import FOLLOWED
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.definitions.quantities import Margin
from promptarena.stats.adaptive_contrasts import AdaptiveContrast, EpochArms, adaptive_contrast
from promptarena.stats.anytime import AsymptoticSequence, anytime_p_value
from promptarena.stats.effects import margin_contrast
from promptarena.stats.harm import MIN_UNITS, Harm
from promptarena.stats.moments import Moments

__all__ = ["AdaptiveEffects", "NotKnown"]

_LEAST: Final = 2
_LEAST_P: Final = 1e-300


@dataclass(frozen=True, slots=True)
class NotKnown:
    """Why there is no estimate."""

    why: str


@dataclass(frozen=True)
class AdaptiveEffects:
    """What a cube of whole cohorts says of variants among which the weights moved."""

    cube: Cube
    weights: EpochWeights
    control: str
    n_opt: float
    """Units of two variants at which sequences are tightest, fixed before the data."""

    def difference(self, metric: Metric, treatment: str, alpha: float) -> AdaptiveContrast | NotKnown:
        """treatment - control."""
        return self._contrast(metric, treatment, alpha, NO_MARGIN, good=1.0)

    def against_margin(
        self, metric: Metric, treatment: str, alpha: float, margin: Margin = NO_MARGIN
    ) -> AdaptiveContrast | NotKnown:
        """The good-signed difference plus what may be lost: above zero the margin is kept."""
        return self._contrast(metric, treatment, alpha, margin, good=float(good_sign(metric)))

    def harm(self, metric: Metric, treatment: str, alpha: float, margin: Margin = NO_MARGIN) -> Harm | None:
        """Evidence that the treatment is worse than its margin; `None` of too few units, of a rate (whose
        evidence is exact) and of what is no mean."""
        if metric.kind not in FOLLOWED or metric.kind is MetricKind.RATE:
            return None
        good = float(good_sign(metric))
        found = self._contrast(metric, treatment, alpha, margin, good=good, towards=-1.0)
        if isinstance(found, NotKnown):
            return None
        p, lost = found.one_sided_p_value, 0.0 if margin.relative else margin.value
        return Harm(-math.log(max(p, _LEAST_P)), p, p <= alpha, lambda: lost - found.lower_bound)

    def mean(self, metric: Metric, variant: str, alpha: float) -> AdaptiveContrast | NotKnown:
        """A variant's own mean over all units that came, whichever variant they met."""
        if metric.kind not in FOLLOWED:
            return NotKnown(f"a {metric.kind} is compared within epochs only")
        epochs = []
        for epoch, arms in self._by_epoch(metric).items():
            weights = self.weights.get(epoch)
            if not weights:
                return NotKnown(f"the weights of epoch {epoch} are not known")
            own = weights.get(variant, 0.0) / sum(weights.values())
            rest = sum((moments for name, moments in arms.items() if name != variant), Moments.empty(1))
            epochs.append(EpochArms(rest, arms.get(variant, Moments.empty(1)), own))
        return _followed(epochs, alpha, self.n_opt, on_treatment=1.0, on_control=0.0, weights="units")

    def _contrast(
        self,
        metric: Metric,
        treatment: str,
        alpha: float,
        margin: Margin,
        *,
        good: float,
        towards: float = 1.0,
    ) -> AdaptiveContrast | NotKnown:
        """good x (treatment - control), plus what may be lost of |control|, all of it times `towards`."""
        if metric.kind not in FOLLOWED:
            return self._within_epochs(metric, treatment, alpha, margin, good)
        epochs = []
        for epoch, arms in self._by_epoch(metric).items():
            share = treatment_share(self.weights.get(epoch), self.control, treatment)
            if share is None:
                return NotKnown(f"the weights of epoch {epoch} are not known")
            control, treated = (arms.get(name, Moments.empty(1)) for name in (self.control, treatment))
            epochs.append(EpochArms(control, treated, share))
        on_control = -good
        if margin.relative:
            own = self.mean(metric, self.control, alpha)
            if isinstance(own, NotKnown):
                return own
            on_control += margin.value * math.copysign(1.0, own.value)
        return _followed(
            epochs,
            alpha,
            self.n_opt,
            on_treatment=towards * good,
            on_control=towards * on_control,
            null=0.0 if margin.relative else -towards * margin.value,
        )

    def _within_epochs(
        self, metric: Metric, treatment: str, alpha: float, margin: Margin, good: float
    ) -> AdaptiveContrast | NotKnown:
        pair = arm_pair(self.cube, metric, self.control, treatment)
        if pair.effect is None:
            return NotKnown(pair.problem or "no effect")
        if min(pair.n_control, pair.n_treatment) < MIN_UNITS:
            return NotKnown(f"an always-valid interval needs {MIN_UNITS} observed units a variant")
        try:
            tested = margin_contrast(
                pair.effect, margin.value, relative=margin.relative, higher_is_better=good > 0
            )
        except ValueError as why:
            return NotKnown(str(why))
        if tested.variance == 0:
            return NotKnown("every unit has the same value, so the error of the difference is not known")
        n, null = pair.n_control + pair.n_treatment, 0.0 if margin.relative else -margin.value
        value, error = tested.value + null, math.sqrt(tested.variance)
        sequence, z = AsymptoticSequence(self.n_opt, alpha), tested.value / error
        low, high = sequence.interval(value, error, n)
        return AdaptiveContrast(
            value=value,
            standard_error=error,
            low=low,
            high=high,
            lower_bound=sequence.lower_bound(value, error, n),
            upper_bound=sequence.upper_bound(value, error, n),
            p_value=anytime_p_value(sequence.log_e_value(z, n)),
            one_sided_p_value=anytime_p_value(sequence.one_sided_log_e_value(z, n)),
            units=n,
            epochs=len(self._by_epoch(metric)),
        )

    def _by_epoch(self, metric: Metric) -> dict[str, dict[str, Moments]]:
        """Moments of the outcome by epoch, in their order, and variant."""
        found: dict[str, dict[str, Moments]] = {}
        for (variant, epoch), cell in self.cube.by("epoch").items():
            found.setdefault(epoch, {})[variant] = cell.moments[metric.name].select(0)
        return {epoch: found[epoch] for epoch in sorted(found, key=int)}


def _followed(
    epochs: list[EpochArms],
    alpha: float,
    n_opt: float,
    *,
    on_treatment: float,
    on_control: float,
    null: float = 0.0,
    weights: Literal["precision", "units"] = "precision",
) -> AdaptiveContrast | NotKnown:
    # The first epoch is centred on its own means: how few units it has depends on no outcome of theirs.
    usable = [bool(min(epoch.control.n, epoch.treatment.n) >= _LEAST) for epoch in epochs]
    first = usable.index(True) if True in usable else len(epochs)
    try:
        return adaptive_contrast(
            epochs[first:],
            alpha=alpha,
            n_opt=n_opt,
            on_treatment=on_treatment,
            on_control=on_control,
            null=null,
            weights=weights,
        )
    except ValueError as error:
        return NotKnown(str(error))
