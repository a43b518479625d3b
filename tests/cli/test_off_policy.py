"""`arena off-policy`: real logged rounds give the reference, exploding weights shout, mistakes are told by row."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Arena

FLAGS = ("--reward", "reward", "--logged", "pscore", "--evaluated", "pi_e")
MODEL = ("--predicted", "q_logged", "--baseline", "dm_baseline")


@pytest.mark.parametrize(("ran", "other"), [("random", "bts"), ("bts", "random")])
def test_real_rounds_give_the_reference(arena: Arena, shared_data: Path, ran: str, other: str) -> None:
    folder = shared_data / "obd_men"
    outcome = arena("off-policy", str(folder / f"men_{ran}_to_{other}.csv.gz"), *FLAGS, *MODEL, "--json")
    found = json.loads(outcome.out)
    with (folder / "reference_ope.csv").open() as lines:
        reference = next(row for row in csv.DictReader(lines) if row["behavior"] == ran)
    values = {row["method"]: row["value"] for row in found["estimates"]}
    names = {"ips": "obp_ipw", "snips": "obp_snipw", "dm": "obp_dm", "dr": "obp_dr", "sndr": "obp_sndr"}
    for method, name in {**names, "logged": "behavior_value"}.items():
        assert values[method] == pytest.approx(float(reference[name]), rel=1e-8)
    assert found["effective_rounds"] == pytest.approx(float(reference["ess"]), rel=1e-7)
    assert found["mean_weight"] == pytest.approx(float(reference["mean_w"]), rel=1e-7)
    assert (found["warning"] is not None) == (ran == "bts")


def test_exploding_weights_are_the_first_thing_that_is_said(
    arena: Arena, shared_data: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    rounds = str(shared_data / "obd_men" / "men_bts_to_random.csv.gz")
    outcome = arena("off-policy", rounds, *FLAGS, "--html", str(page))
    assert "THE WEIGHTS EXPLODE" in page.read_text()
    first, second = outcome.out.splitlines()[:2]
    assert first.startswith("Off-policy estimate")
    assert second.startswith("DO NOT ACT  THE WEIGHTS EXPLODE: 10,000 rounds tell as much as 655.7")


def _rounds(folder: Path, rows: list[str]) -> str:
    file = folder / "rounds.csv"
    file.write_text("\n".join(["arm,reward,chance,other,user", *rows]) + "\n")
    return str(file)


def test_a_policy_of_variants_needs_no_column(arena: Arena, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [
        f"{'b' if b else 'a'},{rng.random() < (0.5 if b else 0.2):d},{0.25 if b else 0.75},{0.9 if b else 0.1},u{i // 3}"
        for i, b in enumerate(rng.random(3000) < 0.25)
    ]
    file = _rounds(tmp_path, rows)
    common = ("--reward", "reward", "--logged", "chance", "--json")
    by_policy = arena("off-policy", file, *common, "--variant", "arm", "--policy", "a=10%,b=.9")
    by_column = arena("off-policy", file, *common, "--evaluated", "other")
    one, two = json.loads(by_policy.out), json.loads(by_column.out)
    assert one["estimates"] == two["estimates"]
    snips = one["estimates"][2]
    assert snips["value"] == pytest.approx(0.1 * 0.2 + 0.9 * 0.5, abs=0.06)
    low, high = snips["interval"]
    assert low < 0.47 < high
    clustered = arena("off-policy", file, *common, "--evaluated", "other", "--cluster", "user")
    assert json.loads(clustered.out)["units"] == 1000


@pytest.mark.parametrize(
    ("rows", "flags", "words"),
    [
        (["a,1,0,0.5,u", "a,1,0.5,0.5,u"], (), ":2 (chance): A logged probability is above 0"),
        (["a,1,0.5,0.5,u", "a,1,0.5,1.5,u"], (), ":3 (other): An evaluated probability is between"),
        (["a,yes?,0.5,0.5,u", "a,1,0.5,0.5,u"], (), ":2 (reward): Expected a number"),
        (["a,,0.5,0.5,u", "a,1,0.5,0.5,u"], (), ":2 (reward): A round has a finite number"),
        (["a,1,0.5,0,u", "a,1,0.5,0,u"], (), "would have chosen nothing"),
        (["a,1,0.5,0,u"], ("--predicted", "reward"), "both --predicted and --baseline"),
        (["a,1,0.5,0,u"], ("--policy", "a=1"), "--variant COL with --policy"),
        (["a,1,0.5,0,u"], ("--alpha", "0.7"), "between 0 and 0.5"),
        (["a,1,0.5,0,u"], ("--cluster", "usr"), "usr"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    arena: Arena, tmp_path: Path, rows: list[str], flags: tuple[str, ...], words: str
) -> None:
    outcome = arena(
        "off-policy",
        _rounds(tmp_path, rows),
        "--reward",
        "reward",
        "--logged",
        "chance",
        "--evaluated",
        "other",
        *flags,
    )
    assert outcome.status in (2, 4)
    assert words in outcome.err


def test_policies_that_are_none_are_refused(arena: Arena, tmp_path: Path) -> None:
    file = _rounds(tmp_path, ["a,1,0.5,0.5,u", "b,1,0.5,0.5,u"])
    common = ("off-policy", file, "--reward", "reward", "--logged", "chance", "--variant", "arm", "--policy")
    for policy, words in (
        ("a=1", "does not say how often it chooses"),
        ("a=.5,b=.6", "sum to 1"),
        ("a=.5,b=.3,c=.2", "no variant"),
        ("a:1", "is written a=.2,b=.8"),
    ):
        outcome = arena(*common, policy)
        assert outcome.status == 2
        assert words in outcome.err
    assert "one of the two" in arena("off-policy").err
