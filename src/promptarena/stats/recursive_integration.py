"""Paths of a test statistic that is looked at several times: who is still running, and who crosses where.

At information I_k the score S_k = Z_k sqrt(I_k) is a Brownian motion with drift, seen at I_1 < I_2 < ... .
The density of the scores that have not yet left their continuation regions follows look by look from the one
before by one integral (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, "Group sequential
methods", ch. 19). It is kept on Gauss-Legendre nodes, under no drift; any drift follows from it exactly by
the likelihood ratio exp(drift s - drift^2 I / 2), because the last score is sufficient.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["CLOSEST", "HIGHEST_Z", "Running"]

Vector = NDArray[np.float64]

HIGHEST_Z: Final = 20.0
"""No critical value is above this one, which a path crosses by chance with probability 3e-89."""
_SMALLEST_SPEND: Final = float(ndtr(-HIGHEST_Z))
CLOSEST: Final = 1e-4
"""Least information that a look must add, as a share of what it then has."""
_PANEL_NODES: Final = 16
_PANEL_WIDTH: Final = 3.0
"""In standard deviations of the narrower of the two steps next to the look."""


@functools.cache
def _panel() -> tuple[Vector, Vector]:
    """Nodes in (0, 1) and weights of one panel."""
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    return (nodes + 1) / 2, weights / 2


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """The paths that are still running after a look, as weighted scores.

    `Running.start()` is a single path at score 0; `Running.start(I, s)` one that was seen at score s, from
    which conditional probabilities follow.
    """

    information: float
    """In any unit in which the drift is per square root of it; 0 or more."""
    scores: Vector
    """Shape (nodes,)."""
    masses: Vector
    """Shape (nodes,): density times quadrature weight, under no drift."""
    origin: tuple[float, float]
    """Information and score where all paths began."""

    @classmethod
    def start(cls, information: float = 0.0, score: float = 0.0) -> Running:
        """Every path at one point."""
        return cls(information, np.array([score]), np.array([1.0]), (information, score))

    def _step(self, information: float) -> float:
        """Standard deviation of the step to the next look."""
        if not information - self.information > CLOSEST * information:
            raise ValueError(
                f"looks must come in order of information and at least {CLOSEST:.2%} apart:"
                f" {information:.6g} follows {self.information:.6g}"
            )
        return math.sqrt(information - self.information)

    def _tilted(self, drift: float) -> Vector:
        """Masses under a drift."""
        if drift == 0:
            return self.masses
        began, at = self.origin
        tilt = drift * (self.scores - at) - drift**2 * (self.information - began) / 2
        tilted: Vector = self.masses * np.exp(tilt)
        return tilted

    def above(self, information: float, z: float, drift: float = 0.0) -> float:
        """Probability to be still running now and to have a statistic of z or more at the next look.

        Args:
            information: of the next look.
            z: on the scale of a standard normal statistic.
            drift: expected score per unit of information.

        Raises:
            ValueError: the next look has not at least .01% more information.
        """
        step = self._step(information)
        mean = self.scores + drift * (step * step)
        return float(self._tilted(drift) @ ndtr((mean - z * math.sqrt(information)) / step))

    def below(self, information: float, z: float, drift: float = 0.0) -> float:
        """As `above`, for a statistic of z or less."""
        step = self._step(information)
        mean = self.scores + drift * (step * step)
        return float(self._tilted(drift) @ ndtr((z * math.sqrt(information) - mean) / step))

    def critical_z(self, information: float, spend: float) -> float:
        """The z for which `above(information, z)` is `spend`: what the next look may reject with.

        Newton's method on the logarithm. The region of continuation is an interval, so the tail is
        log-concave (Prekopa 1973), and from a start beyond the solution every step comes nearer without
        passing it.

        Args:
            information: of the next look.
            spend: probability, less than that of still running; at most `HIGHEST_Z` comes of a tiny one.

        Raises:
            ValueError: the looks are too close, or more is to be spent than there is.
        """
        step = self._step(information)
        if spend <= _SMALLEST_SPEND:
            return HIGHEST_Z
        if spend >= self.masses.sum():
            raise ValueError(f"{spend:.3g} cannot be spent where {self.masses.sum():.3g} of the paths remain")
        root = math.sqrt(information)
        z = min(-float(ndtri(spend)), (float(self.scores[-1]) + HIGHEST_Z * step) / root)
        for _ in range(200):
            standard = (z * root - self.scores) / step
            tail = float(self.masses @ ndtr(-standard))
            density = float(self.masses @ np.exp(-0.5 * standard**2)) / math.sqrt(2 * math.pi) * root / step
            move = math.log(tail / spend) * tail / density
            z += move
            # Where nearly all is spent the tail is flat: it is met to all its digits before z is.
            if abs(move) < 1e-10 or abs(tail / spend - 1) < 1e-13:
                return min(z, HIGHEST_Z)
        raise ValueError(f"no critical value spends {spend:.3g} at information {information:.6g}")

    def after(self, information: float, low: float, high: float, following: float) -> Running:
        """The paths whose statistic lies between `low` and `high` at the next look.

        Args:
            information: of the next look.
            low: lower end of the continuation region, on the z scale and finite.
            high: its upper end.
            following: information of the look after that, which says how fine the nodes must be.

        Raises:
            ValueError: the looks are too close, or the region is empty.
        """
        step = self._step(information)
        if not high > low:
            raise ValueError(f"nothing lies between the boundaries {low:.6g} and {high:.6g}")
        root = math.sqrt(information)
        finest = min(step, math.sqrt(max(following - information, CLOSEST * following)))
        width = (high - low) * root
        panels = math.ceil(width / (_PANEL_WIDTH * finest))
        nodes, weights = _panel()
        edges = low * root + width / panels * np.arange(panels)
        scores = (edges[:, None] + width / panels * nodes).ravel()
        kernel = np.exp(-0.5 * ((scores[:, None] - self.scores) / step) ** 2)
        density = kernel @ self.masses / (step * math.sqrt(2 * math.pi))
        return Running(information, scores, density * np.tile(weights * width / panels, panels), self.origin)
