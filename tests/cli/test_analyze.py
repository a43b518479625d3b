"""`arena analyze`: the JSON that was promised, verdicts as exit statuses, and one clear message for bad input."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Arena

_FLAGS = ("--unit", "user", "--variant", "arm")


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


@pytest.fixture
def outcomes(tmp_path: Path) -> Path:
    """2,000 users, a clear effect on `won`, none on `cost`."""
    rng = random.Random(1)
    rows = []
    for i in range(2_000):
        treated = i % 2 == 1
        won = int(i % 20 < (13 if treated else 10))
        day = f"2026-03-{2 + i % 14:02d}T10:00:00Z"
        rows.append(
            (
                f"u{i}",
                "treatment" if treated else "control",
                won,
                round(rng.gauss(5, 1), 4),
                1 + i % 3,
                day,
                "ab"[i % 4 // 2],
            )
        )
    return _write(tmp_path / "outcomes.csv", ["user", "arm", "won", "cost", "turns", "at", "tier"], rows)


def test_json_has_the_promised_shape(arena: Arena, outcomes: Path) -> None:
    outcome = arena(
        "analyze", outcomes, *_FLAGS, "--rate", "won", "--mean", "cost", "--ratio", "cost/turns",
        "--segment", "tier", "--time", "at", "--weights", "control=.5,treatment=.5", "--json",
    )  # fmt: skip
    assert outcome.status == 0
    found = outcome.json
    assert found["verdict"]["status"] == "ship"
    assert found["verdict"]["reasons"]
    assert found["balance"]["counts"] == {"control": 1_000, "treatment": 1_000}
    assert found["balance"]["expected"] == {"control": 1_000, "treatment": 1_000}
    assert found["balance"]["p_value"] == 1
    assert set(found["metrics"]) == {"won", "cost", "cost/turns"}
    comparison = found["metrics"]["won"]["comparisons"]["treatment"]
    wanted = "control_value variant_value difference interval relative_difference relative_interval p_value"
    assert {*wanted.split(), "p_adjusted", "n_control", "n_variant", "method"} <= set(comparison)
    assert comparison["control_value"] == pytest.approx(0.5)
    assert comparison["difference"] == pytest.approx(0.1, abs=0.06)
    assert comparison["n_control"] == 1_000
    assert found["verdict"]["reasons"][-1] == "not preregistered; valid only if looked at once"


def test_check_makes_the_verdict_the_exit_status(arena: Arena, outcomes: Path) -> None:
    assert arena("analyze", outcomes, *_FLAGS, "--rate", "won", "--check").status == 0
    assert arena("analyze", outcomes, *_FLAGS, "--mean", "cost", "--check").status == 1
    mismatch = arena(
        "analyze", outcomes, *_FLAGS, "--rate", "won", "--weights", "control=.7,treatment=.3", "--check"
    )
    assert mismatch.status == 4
    assert "invalid" in mismatch.out.lower()
    assert arena("analyze", outcomes, *_FLAGS, "--rate", "won", "--lower", "won", "--check").status == 1


def test_a_table_without_weights_has_unknown_balance(arena: Arena, outcomes: Path) -> None:
    found = arena("analyze", outcomes, *_FLAGS, "--rate", "won", "--json").json
    assert found["balance"]["status"] == "unknown"
    assert found["balance"]["p_value"] is None
    assert found["balance"]["expected"] is None


def test_repeated_rows_of_a_unit_are_never_counted_twice(
    arena: Arena, outcomes: Path, tmp_path: Path
) -> None:
    header, *rows = list(csv.reader(outcomes.open()))
    doubled = _write(tmp_path / "doubled.csv", header, [row for row in rows for _ in range(3)])
    once = arena("analyze", outcomes, *_FLAGS, "--rate", "won", "--mean", "cost", "--json").json
    thrice = arena("analyze", doubled, *_FLAGS, "--rate", "won", "--mean", "cost", "--json").json
    for name in ("won", "cost"):
        ours, theirs = (each["metrics"][name]["comparisons"]["treatment"] for each in (once, thrice))
        assert theirs["n_control"] == ours["n_control"]
        assert theirs["interval"] == pytest.approx(ours["interval"])
    assert thrice["units"] == {**thrice["units"], "rows": 6_000, "units": 2_000, "repeated": 2_000}


def test_a_unit_in_two_variants_stays_in_its_first_and_is_counted(arena: Arena, tmp_path: Path) -> None:
    rows = [
        (f"u{i}", ("control", "treatment")[i % 2], i % 4 // 2, f"2026-03-{2 + i % 9:02d}")
        for i in range(2_000)
    ]
    # u0 met treatment later by time, though that row stands first; u2 has no later row than its own.
    rows = [("u0", "treatment", 1, "2026-04-01"), *rows, ("u1", "control", 1, "2026-04-01")]
    path = _write(tmp_path / "x.csv", ["user", "arm", "won", "at"], rows)
    by_time = arena("analyze", path, *_FLAGS, "--rate", "won", "--time", "at", "--json").json
    assert by_time["units"]["crossovers"] == 2
    assert by_time["balance"]["counts"] == {"control": 1_000, "treatment": 1_000}
    by_row = arena("analyze", path, *_FLAGS, "--rate", "won", "--json").json
    assert by_row["balance"]["counts"] == {"control": 999, "treatment": 1_001}


def test_parquet_duckdb_and_gzip_give_the_same_answer(arena: Arena, outcomes: Path, tmp_path: Path) -> None:
    import duckdb

    parquet, database, zipped = tmp_path / "o.parquet", tmp_path / "o.duckdb", tmp_path / "o.csv.gz"
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"CREATE TABLE outcomes AS FROM read_csv('{outcomes}')")
        connection.execute(f"COPY outcomes TO '{parquet}' (FORMAT parquet)")
    zipped.write_bytes(gzip.compress(outcomes.read_bytes()))
    answers = [
        arena("analyze", file, *_FLAGS, "--rate", "won", "--mean", "cost", "--json").json["metrics"]
        for file in (outcomes, parquet, f"{database}::outcomes", zipped)
    ]
    for answer in answers[1:]:
        for name in ("won", "cost"):
            ours, theirs = (each[name]["comparisons"]["treatment"] for each in (answers[0], answer))
            assert theirs["interval"] == pytest.approx(ours["interval"], rel=1e-9)


def test_the_reports_are_written(arena: Arena, outcomes: Path, tmp_path: Path) -> None:
    page, notes = tmp_path / "page.html", tmp_path / "notes.md"
    outcome = arena("analyze", outcomes, *_FLAGS, "--rate", "won", "--html", page, "--markdown", notes)
    assert outcome.status == 0
    assert "<html" in page.read_text()
    assert notes.read_text().startswith("#")
    assert str(page) in outcome.out


_BAD: list[tuple[str, str, list[str], list[str]]] = [
    ("a missing column", "user,arm,won\nu1,control,1\n", ["--rate", "wonn"], ["`wonn`", "Did you mean `won`?"]),
    ("text for numbers", "user,arm,cost\nu1,control,1\nu2,treatment,many\n", ["--mean", "cost"], [":3", "many"]),
    ("NaN", "user,arm,cost\nu1,control,1\nu2,treatment,NaN\n", ["--mean", "cost"], [":3", "NaN"]),
    ("infinity", "user,arm,cost\nu1,control,inf\nu2,treatment,1\n", ["--mean", "cost"], [":2", "`inf` is not a finite number"]),
    ("an empty file", "", ["--rate", "won"], ["empty"]),
    ("only a header", "user,arm,won\n", ["--rate", "won"], ["x.csv"]),
    ("a repeated header", "user,arm,won\nu1,control,1\nuser,arm,won\nu2,treatment,0\n", ["--rate", "won"], [":3", "header"]),
    ("no unit", "user,arm,won\n,control,1\nu2,treatment,0\n", ["--rate", "won"], [":2", "user"]),
    ("no variant", "user,arm,won\nu1,,1\nu2,treatment,0\n", ["--rate", "won"], [":2", "arm"]),
    ("a rate above 1", "user,arm,won\nu1,control,3\nu2,treatment,0\n", ["--rate", "won"], [":2", "3"]),
    ("no control", "user,arm,won\nu1,a,1\nu2,b,0\n", ["--rate", "won"], ["`control`", "`a`, `b`", "--control"]),
    ("no metric", "user,arm,won\nu1,control,1\nu2,treatment,0\n", [], ["No metric", "--rate"]),
    ("weights that do not sum", "user,arm,won\nu1,control,1\nu2,treatment,0\n", ["--rate", "won", "--weights", "control=.5,treatment=.4"], ["sum to 0.9"]),
    ("an unknown variant", "user,arm,won\nu1,control,1\nu2,tretment,0\n", ["--rate", "won", "--weights", "control=.5,treatment=.5"], ["`tretment`", "Did you mean `treatment`?"]),
    ("a primary that is no metric", "user,arm,won\nu1,control,1\nu2,treatment,0\n", ["--rate", "won", "--primary", "wom"], ["`wom`", "Did you mean `won`?"]),
    ("a guardrail named twice", "user,arm,won\nu1,control,1\nu2,treatment,0\n", ["--rate", "won", "--mean", "x", "--guardrail", "x=1", "--guardrail", "x=2"], ["`x` twice"]),
    ("an outcome as covariate", "user,arm,won\nu1,control,1\nu2,treatment,0\n", ["--mean", "won", "--covariate", "won"], ["--covariate", "measures"]),
    ("a weight named twice", "user,arm,won\nu1,control,1\nu2,treatment,0\n", ["--rate", "won", "--weights", "control=.5,control=.5"], ["`control` twice"]),
    ("a ratio without a slash", "user,arm,won\nu1,control,1\nu2,treatment,0\n", ["--ratio", "won"], ["NUM/DEN"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "flags", "words"), [case[1:] for case in _BAD], ids=[case[0] for case in _BAD]
)
def test_bad_input_is_one_clear_message(
    arena: Arena, tmp_path: Path, text: str, flags: list[str], words: list[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    outcome = arena("analyze", path, *_FLAGS, *flags)
    assert outcome.status == 2
    assert outcome.out == ""
    for word in words:
        assert word in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "flags", "word"),
    [
        ("user,arm,won\nu1,control,1\nu2,treatment,0\n", ["--mean", "won"], "2 are needed"),
        ("user,arm,won\n" + "".join(f"u{i},{'ct'[i % 2]},1\n" for i in range(50)), ["--mean", "won", "--control", "c"], "same value"),
        ("user,arm,won\nu1,control,1\nu2,control,0\n", ["--rate", "won"], "one variant"),
    ],
    ids=["one unit a variant", "zero variance", "one variant"],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_with_its_own_status(
    arena: Arena, tmp_path: Path, text: str, flags: list[str], word: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    outcome = arena("analyze", path, *_FLAGS, *flags)
    assert outcome.status == 4
    assert word in outcome.err


def test_mixed_encodings_name_the_line(arena: Arena, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("user,arm,won\nné,control,1\n".encode() + "nö,treatment,0\n".encode("latin-1"))
    outcome = arena("analyze", path, *_FLAGS, "--rate", "won")
    assert outcome.status == 2
    assert ":3" in outcome.err
    assert "UTF-8" in outcome.err


def test_a_control_mean_of_zero_or_below_has_no_plain_relative_effect(arena: Arena, tmp_path: Path) -> None:
    rows = [(f"u{i}", ("control", "treatment")[i % 2], -5 + i % 7 + (i % 2)) for i in range(1_000)]
    path = _write(tmp_path / "x.csv", ["user", "arm", "score"], rows)
    found = arena("analyze", path, *_FLAGS, "--mean", "score", "--json").json
    comparison = found["metrics"]["score"]["comparisons"]["treatment"]
    assert comparison["control_value"] < 0
    assert comparison["difference"] > 0
    assert comparison["relative_difference"] > 0
    assert any("zero or below" in note for note in comparison["notes"])


def test_a_report_that_cannot_be_written_is_said_before_anything_is_printed(
    arena: Arena, outcomes: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    outcome = arena("analyze", outcomes, *_FLAGS, "--rate", "won", "--html", blocked / "page.html")
    assert outcome.status == 2
    assert outcome.out == ""
    assert "page.html" in outcome.err


def test_errors_are_json_too_where_that_was_asked_for(arena: Arena) -> None:
    outcome = arena("analyze", "absent.csv", *_FLAGS, "--rate", "won", "--json")
    assert outcome.status == 2
    [problem] = outcome.json["error"]["problems"]
    assert problem["file"] == "absent.csv"


def test_the_two_logged_policies_give_the_click_rates_of_an_independent_computation(
    arena: Arena, shared_data: Path, tmp_path: Path
) -> None:
    rows = []
    for arm in ("random", "bts"):
        with gzip.open(shared_data / "obd_men" / f"{arm}_men.csv.gz", "rt") as file:
            rows += [(f"{arm}{i}", arm, row["click"]) for i, row in enumerate(csv.DictReader(file))]
    path = _write(tmp_path / "clicks.csv", ["user", "arm", "click"], rows)
    found = arena("analyze", path, *_FLAGS, "--control", "random", "--rate", "click", "--json").json
    comparison = found["metrics"]["click"]["comparisons"]["bts"]
    assert comparison["control_value"] == pytest.approx(0.0046, abs=1e-9)
    assert comparison["variant_value"] == pytest.approx(0.0069, abs=1e-9)
    error = (0.0046 * 0.9954 / 10_000 + 0.0069 * 0.9931 / 10_000) ** 0.5
    assert comparison["interval"] == pytest.approx(
        [0.0023 - 1.959964 * error, 0.0023 + 1.959964 * error], abs=1e-7
    )
