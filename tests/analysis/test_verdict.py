"""The verdict is the first status that applies: invalid, harmful, ship, hold, continue."""

from __future__ import annotations

from typing import Any

import pytest

from promptarena.analysis.verdict import TreatmentEvidence, decide
from promptarena.definitions.readout import Check, Status


def _check(name: str, passed: bool | None) -> Check:
    return Check(name=name, passed=passed, text=f"{name} {passed}")


def _evidence(**fields: Any) -> TreatmentEvidence:
    usual: dict[str, Any] = {
        "variant": "treatment",
        "effect": 1.0,
        "harm": (_check("harm", True),),
        "primary": _check("primary", True),
        "requirements": (_check("guardrail", True), _check("days", True)),
        "final": True,
        "outlook": "next look later",
    }
    return TreatmentEvidence(**usual | fields)


def _status(evidence: TreatmentEvidence, *trust: Check) -> Status:
    return decide(trust, [evidence], preregistered=True).status


def test_everything_in_order_ships() -> None:
    verdict = decide([_check("balance", True)], [_evidence()], preregistered=True)
    assert verdict.status is Status.SHIP
    assert verdict.variant == "treatment"
    assert verdict.reasons[0] == "primary True"


def test_untrustworthy_data_is_invalid_before_anything_else() -> None:
    harmed = _evidence(harm=(_check("harm", False),))
    verdict = decide([_check("balance", False)], [harmed], preregistered=True)
    assert verdict.status is Status.INVALID
    assert verdict.reasons == ("balance False",)
    assert verdict.by_variant == {}


def test_harm_comes_before_shipping() -> None:
    assert _status(_evidence(harm=(_check("harm", False),))) is Status.HARMFUL


def test_harm_ends_a_trial_before_any_look() -> None:
    waiting = _evidence(primary=_check("primary", None), final=False, harm=(_check("harm", False),))
    assert _status(waiting) is Status.HARMFUL


@pytest.mark.parametrize("name", ["guardrail", "segment", "observed share"])
@pytest.mark.parametrize(("final", "status"), [(True, Status.HOLD), (False, Status.CONTINUE)])
def test_one_failed_requirement_bars_from_ship(name: str, final: bool, status: Status) -> None:
    evidence = _evidence(requirements=(_check(name, False),), final=final)
    assert _status(evidence) is status


def test_a_guardrail_that_could_not_be_tested_has_not_passed() -> None:
    assert _status(_evidence(requirements=(_check("guardrail", None),))) is Status.HOLD


def test_data_without_time_may_ship_and_says_what_was_not_checked() -> None:
    verdict = decide([], [_evidence(requirements=(_check("days", None),))], preregistered=False)
    assert verdict.status is Status.SHIP
    assert "days None" in verdict.reasons


def test_too_few_units_or_days_continue_even_at_the_last_look() -> None:
    evidence = _evidence(unripe=(_check("observed", False),))
    verdict = decide([], [evidence], preregistered=True)
    assert verdict.status is Status.CONTINUE
    assert "observed False" in verdict.reasons
    assert "next look later" in verdict.reasons


def test_a_primary_that_did_not_cross_holds_at_the_last_look_and_continues_before() -> None:
    assert _status(_evidence(primary=_check("primary", None))) is Status.HOLD
    assert _status(_evidence(primary=_check("primary", None), final=False)) is Status.CONTINUE


def test_crossing_the_bad_way_holds_at_any_look() -> None:
    assert _status(_evidence(primary=_check("primary", False), final=False)) is Status.HOLD


def test_a_treatment_that_is_held_does_not_end_the_trial_of_another() -> None:
    held = _evidence(variant="b", primary=_check("primary", False), final=False)
    open_ = _evidence(variant="c", primary=_check("primary", None), final=False)
    verdict = decide([], [held, open_], preregistered=True)
    assert (verdict.status, verdict.variant) == (Status.CONTINUE, "c")
    assert verdict.by_variant["b"] is Status.HOLD


def test_of_several_that_may_ship_the_best_is_named() -> None:
    verdict = decide(
        [], [_evidence(variant="b", effect=0.1), _evidence(variant="c", effect=0.2)], preregistered=True
    )
    assert verdict.variant == "c"
    assert verdict.by_variant == {"b": Status.SHIP, "c": Status.SHIP}


def test_a_harmful_treatment_is_told_before_another_that_may_ship() -> None:
    harmful = _evidence(variant="b", harm=(_check("harm", False),))
    verdict = decide([], [harmful, _evidence(variant="c")], preregistered=True)
    assert (verdict.status, verdict.variant) == (Status.HARMFUL, "b")
    assert "c on its own would be told `ship`" in verdict.reasons


def test_unknown_balance_does_not_bar_but_is_said() -> None:
    verdict = decide([_check("balance", None)], [_evidence()], preregistered=False)
    assert verdict.status is Status.SHIP
    assert "balance None" in verdict.reasons
