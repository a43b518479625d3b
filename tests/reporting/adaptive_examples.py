"""Reports of interleaved lists and of another policy, for the reporting tests."""

from __future__ import annotations

from promptarena.definitions.interleaving_readout import InterleavingReadout, Preference, RankerReadout
from promptarena.definitions.off_policy_readout import OffPolicyReadout, OffPolicyRow
from promptarena.definitions.readout import Check


def interleaved() -> InterleavingReadout:
    """A preference for the treatment, by query."""
    return InterleavingReadout(
        experiment="hybrid-retrieval",
        source="event log",
        control="control",
        treatment="hybrid",
        method="team-draft",
        credit="click",
        cluster="query",
        alpha=0.05,
        status=Preference.PREFERRED,
        reasons=("hybrid is preferred to control: hybrid wins 57.1% of 1,482 lists",),
        rankers={
            "control": RankerReadout(clicks=801, won=590, led=1012),
            "hybrid": RankerReadout(clicks=1103, won=801, led=988),
        },
        shown=2000,
        clicked=1520,
        informative=1482,
        clusters=311,
        ties=129,
        share=0.571,
        expected=0.498,
        preference=0.073,
        interval=(0.031, 0.115),
        p_value=0.0004,
        p_value_once=0.00001,
        checks=(
            Check(name="coin", passed=True, text="control stood first in 1,012 lists and hybrid in 988"),
        ),
        notes=("38 clicked lists say nothing",),
    )


def exploded() -> OffPolicyReadout:
    """Another policy of which the log knows next to nothing."""
    return OffPolicyReadout(
        source="rounds.csv",
        reward="click",
        policy="a 10%, b 90%",
        alpha=0.05,
        rounds=10_000,
        units=10_000,
        estimates=(
            OffPolicyRow(
                method="logged",
                value=0.0069,
                standard_error=0.0008,
                interval=(0.0053, 0.0085),
                difference=None,
                difference_interval=None,
            ),
            OffPolicyRow(
                method="ips",
                value=0.003,
                standard_error=0.0008,
                interval=(0.0015, 0.0045),
                difference=-0.0039,
                difference_interval=(-0.0055, -0.0023),
            ),
            OffPolicyRow(
                method="snips",
                value=0.0032,
                standard_error=0.0,
                interval=None,
                difference=-0.0037,
                difference_interval=None,
            ),
        ),
        effective_rounds=655.7,
        largest_share=0.0189,
        mean_weight=0.943,
        warning="THE WEIGHTS EXPLODE: 10,000 rounds tell as much as 655.7 of the policy's own (6.6%).",
        notes=("a round is a unit",),
    )
