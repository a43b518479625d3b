"""Means from a judge's scores on everything and people's labels on some: prediction-powered inference.

The labels alone are unbiased and few; the scores are many and as biased as the judge. Their difference on
what has both tells the bias, and taking that off keeps the estimate valid whatever the judge is worth: a
useless judge makes it no better than the labels alone, never wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from promptarena.stats.moments import Moments
from promptarena.stats.proportions import cluster_codes, normal_quantile

__all__ = [
    "AuditMoments",
    "PoweredEstimate",
    "prediction_powered_difference",
    "prediction_powered_mean",
]

Vector = NDArray[np.float64]

_VALUES = 5
"""Of a cluster: weight, weight x label and weight x score of what is labelled; weight and weight x score of
the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class AuditMoments:
    """The sufficient statistics: addable, so that they come from one pass over any number of rows.

    A cluster is what was drawn independently: the unit of randomisation. Each has five totals, those of what
    is labelled (w, w y, w f) and those of the rest (w, w f), with y the label, f the judge's score and w the
    weight. Where items were drawn with different probabilities, the rest is everything.
    """

    labelled_clusters: int
    """Clusters with at least one label."""
    clusters: Moments
    """Of the five totals of each cluster."""

    @classmethod
    def from_records(
        cls,
        labels: ArrayLike,
        scores: ArrayLike,
        unlabelled: ArrayLike,
        *,
        clusters: ArrayLike | None = None,
        unlabelled_clusters: ArrayLike | None = None,
        probabilities: ArrayLike | None = None,
    ) -> AuditMoments:
        """From single judged items.

        Args:
            labels: shape (n,), people's.
            scores: shape (n,), the judge's on the same items.
            unlabelled: shape (N,), the judge's on items that nobody labelled.
            clusters: shape (n,), what items have in common; `None`: nothing.
            unlabelled_clusters: shape (N,), by the same names. Said for both or for none.
            probabilities: shape (n,), in (0, 1], with which each labelled item was drawn for the audit;
                `None`: all alike. A label then weighs 1 / p (Horvitz and Thompson 1952) and is held against
                the scores of everything, its own included, which needs no probability of what was not drawn.

        Raises:
            ValueError: shapes that differ, values that are not finite, or one of a pair without the other.
        """
        y, f, g = (np.asarray(values, dtype=np.float64) for values in (labels, scores, unlabelled))
        if y.ndim != 1 or y.shape != f.shape or g.ndim != 1:
            raise ValueError("every label has one score, and scores without a label are in one dimension")
        if (clusters is None) != (unlabelled_clusters is None):
            raise ValueError("clusters are said of labelled and of unlabelled items, or of neither")
        rows = np.zeros((len(y) + len(g), _VALUES))
        rows[len(y) :, 3:] = np.column_stack([np.ones_like(g), g])
        drawn = np.ones_like(y)
        if probabilities is not None:
            drawn = _inverse(np.asarray(probabilities, dtype=np.float64), y.shape)
            rows[: len(y), 3:] = np.column_stack([np.ones_like(f), f])
        rows[: len(y), :3] = np.column_stack([drawn, drawn * y, drawn * f])
        if clusters is not None and unlabelled_clusters is not None:
            names = np.concatenate([np.asarray(clusters), np.asarray(unlabelled_clusters)])
            codes = cluster_codes(names, len(rows))
            rows = np.column_stack([np.bincount(codes, weights=column) for column in rows.T])
        return cls(int((rows[:, 0] > 0).sum()), Moments.from_values(rows))

    @classmethod
    def from_parts(cls, labelled: Moments, unlabelled: Moments) -> AuditMoments:
        """From the moments of items that stand alone.

        Args:
            labelled: of (label, score), in this order.
            unlabelled: of the score.

        Raises:
            ValueError: moments of another number of values.
        """
        if len(labelled.mean) != 2 or len(unlabelled.mean) != 1:
            raise ValueError("labelled moments are of a label and a score, unlabelled ones of a score")
        return cls(labelled.n, _placed(labelled, 0, (1, 2)) + _placed(unlabelled, 3, (4,)))

    @classmethod
    def from_sums(
        cls,
        *,
        labelled: int,
        labels: float,
        scores: float,
        labels_squared: float,
        scores_squared: float,
        products: float,
        unlabelled: int,
        unlabelled_scores: float,
        unlabelled_scores_squared: float,
    ) -> AuditMoments:
        """From plain sums over items that stand alone; squares of 0 and 1 are the values themselves.

        Args:
            labelled: items with a label.
            labels: sum of the labels.
            scores: sum of their scores.
            labels_squared: sum of squares of the labels.
            scores_squared: sum of squares of their scores.
            products: sum of label x score.
            unlabelled: items without a label.
            unlabelled_scores: sum of their scores.
            unlabelled_scores_squared: sum of squares of these.
        """
        squares = np.array([[labels_squared, products], [products, scores_squared]])
        return cls.from_parts(
            Moments.from_pivot(labelled, np.zeros(2), [labels, scores], squares),
            Moments.from_pivot(unlabelled, np.zeros(1), [unlabelled_scores], [[unlabelled_scores_squared]]),
        )

    def __add__(self, other: AuditMoments) -> AuditMoments:
        """Of the clusters of both; no cluster may be in both."""
        return AuditMoments(self.labelled_clusters + other.labelled_clusters, self.clusters + other.clusters)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoweredEstimate:
    """A mean, or a difference of two, from labels and scores together."""

    value: float
    standard_error: float
    low: float
    high: float
    tuning: tuple[float, ...]
    """Lambda, in [0, 1], of each mean: how far the judge's scores are used; 0 is not at all."""
    labels_only: float
    """What the labels alone say."""
    labels_only_error: float
    """Its standard error, never much below `standard_error`."""
    judge_bias: float
    """Mean of score minus label, over what has both; of a difference the treatment's less the control's. A
    judge with the same bias everywhere has none here."""
    judge_bias_error: float
    labelled: int
    """Clusters with a label, the smallest of the means'."""


def prediction_powered_mean(
    audit: AuditMoments, *, tuning: float | None = None, confidence: float = 0.95
) -> PoweredEstimate:
    """The mean label of everything, labelled or not.

    With y and f the label and the score, means over the labelled (L) and the rest (U), it is

        mean_L(y) - lambda (mean_L(f) - mean_U(f))

    and lambda minimises its variance: Cov_L(y, f) / Var(f), the variance over both, times 1 / (1 + n / N),
    cut to [0, 1]; with clusters or probabilities it minimises the variance that the aggregates give. The
    error is the delta method's over clusters, so that items of a cluster, labelled or not, may depend on one
    another. That lambda is estimated costs nothing at first order; with n labels it pays only where the
    correlation of label and score is above about 1 / sqrt(n - 2) (Mani et al. 2025).

    >>> sums = dict(labels=234, labels_squared=234, scores=242, scores_squared=242, products=209)
    >>> rest = dict(unlabelled=12_000, unlabelled_scores=6928, unlabelled_scores_squared=6928)
    >>> found = prediction_powered_mean(AuditMoments.from_sums(labelled=400, **sums, **rest))
    >>> round(found.tuning[0], 3), round(found.value, 4), round(found.low, 4), round(found.high, 4)
    (0.669, 0.5665, 0.5314, 0.6016)

    Args:
        audit: the aggregates.
        tuning: lambda in [0, 1], in place of the one that is best here: 0 for the labels alone, 1 for
            prediction-powered inference as it was first proposed.
        confidence: of the interval. For items that stand alone it is normal, as the source has it: with 50
            labels it covers 93 to 94% where 95% is said. With clusters or probabilities it is Student's,
            with the effective number of labelled clusters (Kish 1965) less 2 degrees of freedom, lambda
            being one.

    Raises:
        ValueError: fewer than two labelled clusters, or a lambda outside [0, 1].

    Source: Angelopoulos, Duchi and Zrnic (2023), "PPI++: Efficient Prediction-Powered Inference",
        arXiv:2311.01453, power tuning of a mean; Angelopoulos et al. (2023), Science 382, for the estimator;
        Mani et al. (2025), arXiv:2505.20178, for what it costs with few labels.
    """
    part = _Linearised.of(audit, tuning)
    return _estimate([part], [1.0], confidence)


def prediction_powered_difference(
    control: AuditMoments,
    treatment: AuditMoments,
    *,
    tuning: float | None = None,
    confidence: float = 0.95,
) -> PoweredEstimate:
    """treatment - control, each mean with a lambda of its own, from independent units.

    The judge may be biased, and biased differently in the two: `judge_bias` shows by how much.

    Args:
        control: the aggregates of one.
        treatment: those of the other.
        tuning: as in `prediction_powered_mean`, for both.
        confidence: of the interval.

    Raises:
        ValueError: as `prediction_powered_mean`.
    """
    parts = [_Linearised.of(treatment, tuning), _Linearised.of(control, tuning)]
    return _estimate(parts, [1.0, -1.0], confidence)


@dataclass(frozen=True, slots=True)
class _Linearised:
    """One mean with its lambda, and the variances that the delta method gives it."""

    value: float
    variance: float
    tuning: float
    labels_only: float
    labels_only_variance: float
    bias: float
    bias_variance: float
    labelled: int
    df: float
    """Degrees of freedom of the variance; infinite where it is taken as known."""

    @classmethod
    def of(cls, audit: AuditMoments, tuning: float | None) -> _Linearised:
        if tuning is not None and not 0 <= tuning <= 1:
            raise ValueError(f"lambda lies in [0, 1], not {tuning}")
        clusters, labelled = audit.clusters, audit.labelled_clusters
        if labelled < 2:
            raise ValueError(f"labels of at least 2 clusters are needed, not of {labelled}")
        totals = clusters.n * clusters.mean
        weight, others = float(totals[0]), float(totals[3])
        label, score = float(totals[1]) / weight, float(totals[2]) / weight
        # Gradients of the three means with respect to the five totals; a cluster's influence on a mean is its
        # totals times the gradient, and the influences of all clusters sum to zero.
        by_label = np.array([-label, 1, 0, 0, 0]) / weight
        by_score = np.array([-score, 0, 1, 0, 0]) / weight
        squares = clusters.comoments + clusters.n * np.outer(clusters.mean, clusters.mean)
        small = labelled / (labelled - 1)

        def variance(gradient: Vector) -> float:
            return max(float(gradient @ squares @ gradient), 0.0) * small

        value, used, gradient = label, 0.0, by_label
        alone = _stand_alone(squares, weight, others, labelled)
        effective = weight**2 / float(squares[0, 0])
        if others > 0:
            rest = float(totals[4]) / others
            by_rest = np.array([0, 0, 0, -rest, 1]) / others
            moved = by_score - by_rest
            if tuning is not None:
                used = tuning
            elif alone:
                used = _power_tuned(totals, squares, by_label, by_score)
            else:
                used = _within(float(by_label @ squares @ moved), float(moved @ squares @ moved))
            value = label - used * (score - rest)
            gradient = by_label - used * moved
        return cls(
            value=value,
            variance=variance(gradient),
            tuning=used,
            labels_only=label,
            labels_only_variance=variance(by_label),
            bias=score - label,
            bias_variance=variance(by_score - by_label),
            labelled=labelled,
            df=math.inf if alone else max(effective - 2, 1.0),
        )


def _stand_alone(squares: Vector, weight: float, others: float, labelled: int) -> bool:
    """Whether every item is a cluster of its own that weighs 1, either labelled or not."""
    sizes = (squares[0, 0], weight, squares[3, 3], squares[0, 3])
    return bool(np.allclose(sizes, (weight, labelled, others, 0), rtol=1e-9, atol=1e-6))


def _power_tuned(totals: Vector, squares: Vector, by_label: Vector, by_score: Vector) -> float:
    """PPI++'s own lambda, which knows that labelled and other items have the same variance."""
    n, others = float(totals[0]), float(totals[3])
    pooled = float(totals[2] + totals[4]) / (n + others)
    about_pooled = np.array([-pooled, 0, 1, -pooled, 1])
    variance = float(about_pooled @ squares @ about_pooled) / (n + others)
    return _within(float(by_label @ squares @ by_score) * n, variance * (1 + n / others))


def _within(covariance: float, variance: float) -> float:
    if variance <= 0:  # the judge gives everything the same score
        return 0.0
    return min(max(covariance / variance, 0.0), 1.0)


def _estimate(parts: Sequence[_Linearised], signs: Sequence[float], confidence: float) -> PoweredEstimate:
    def signed(values: Sequence[float]) -> float:
        return math.fsum(sign * value for sign, value in zip(signs, values, strict=True))

    def error(variances: Sequence[float]) -> float:
        return math.sqrt(math.fsum(variances))

    value, standard_error = signed([part.value for part in parts]), error([part.variance for part in parts])
    z = _quantile(confidence, parts)
    return PoweredEstimate(
        value=value,
        standard_error=standard_error,
        low=value - z * standard_error,
        high=value + z * standard_error,
        tuning=tuple(part.tuning for part in parts),
        labels_only=signed([part.labels_only for part in parts]),
        labels_only_error=error([part.labels_only_variance for part in parts]),
        judge_bias=signed([part.bias for part in parts]),
        judge_bias_error=error([part.bias_variance for part in parts]),
        labelled=min(part.labelled for part in parts),
    )


def _quantile(confidence: float, parts: Sequence[_Linearised]) -> float:
    """Normal, or Student's with Satterthwaite's degrees of freedom."""
    normal = normal_quantile(confidence)
    shares = math.fsum(part.variance**2 / part.df for part in parts)
    if shares == 0:
        return normal
    df = math.fsum(part.variance for part in parts) ** 2 / shares
    return float(stdtrit(df, 0.5 + confidence / 2))


def _placed(moments: Moments, constant: int, at: tuple[int, ...]) -> Moments:
    """The moments among the five: 1 in the place of the weight, the values in theirs, 0 elsewhere."""
    mean, comoments = np.zeros(_VALUES), np.zeros((_VALUES, _VALUES))
    if moments.n:
        mean[constant] = 1.0
        mean[list(at)] = moments.mean
        comoments[np.ix_(at, at)] = moments.comoments
    return Moments(moments.n, mean, comoments)


def _inverse(probabilities: Vector, shape: tuple[int, ...]) -> Vector:
    if probabilities.shape != shape or not ((probabilities > 0) & (probabilities <= 1)).all():
        raise ValueError("audit probabilities are one a label, above 0 and at most 1")
    return 1 / probabilities
