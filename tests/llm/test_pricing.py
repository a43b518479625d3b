"""What calls cost, by a table that a project may replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptarena.errors import DefinitionError
from promptarena.llm.pricing import built_in_prices, load_prices
from promptarena.llm.response_facts import ResponseFacts


def facts(model: str | None, **said: float | int) -> ResponseFacts:
    return ResponseFacts(**{"model": model, "input_tokens": 1_000_000, "output_tokens": 1_000_000} | said)  # type: ignore[arg-type]


def test_the_built_in_table_is_dated_and_says_where_it_is_from() -> None:
    table = built_in_prices()
    assert table.date >= "2026-01-01"
    assert "price pages" in table.source
    assert len(table.prices) > 100
    for name, price in table.prices.items():
        assert price.cached is None or price.cached <= price.input, name


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-4o-mini", 0.75),
        ("gpt-4o-mini-2024-07-18", 0.75),
        ("openai/gpt-4o-mini", 0.75),
        ("gpt-4o-2024-05-13", 20.0),
        ("gpt-4o-2024-08-06", 12.5),
        ("claude-sonnet-4-5-20250929", 18.0),
        ("gpt-4o-mini-made-up", None),
        ("gpt-4", 90.0),
        ("llama-3", None),
        (None, None),
    ],
)
def test_versions_of_a_model_cost_the_same_unless_said_and_others_are_unknown(
    model: str | None, usd: float | None
) -> None:
    assert built_in_prices().cost_usd(facts(model), None) == (None if usd is None else pytest.approx(usd))


def test_the_model_that_was_asked_tells_where_the_one_that_answered_does_not() -> None:
    assert built_in_prices().cost_usd(facts("deployment-7"), "gpt-4o-mini") == pytest.approx(0.75)


def test_cached_input_has_its_own_price_and_what_the_answer_says_goes_first() -> None:
    table = built_in_prices()
    assert table.cost_usd(facts("gpt-4o", cached_tokens=400_000), None) == pytest.approx(
        0.6 * 2.5 + 0.4 * 1.25 + 10
    )
    assert table.cost_usd(facts("gpt-4o", cost_usd=0.02), None) == 0.02


def test_unknown_tokens_have_no_cost() -> None:
    assert built_in_prices().cost_usd(ResponseFacts(model="gpt-4o", input_tokens=5), None) is None


def test_a_project_adds_to_the_table_and_takes_precedence(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(
        "date: 2027-01-01\nsource: our contract\nprices: {own: {input: 1, output: 2}, gpt-4o: {input: 2.0, output: 8}}\n"
    )
    table = load_prices(tmp_path)
    assert (table.date, table.source) == ("2027-01-01", "our contract")
    assert table.cost_usd(facts("own"), None) == pytest.approx(3)
    assert table.cost_usd(facts("gpt-4o"), None) == pytest.approx(10)
    assert table.cost_usd(facts("gpt-4o-mini"), None) == pytest.approx(0.75)
    assert load_prices(tmp_path / "elsewhere") is built_in_prices()


def test_a_wrong_table_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("date: d\nsource: s\nprices:\n  m: {input: -1, output: 2}\n")
    with pytest.raises(DefinitionError, match=r"prices\.yaml:4:\d+ .*at least 0"):
        load_prices(tmp_path)
