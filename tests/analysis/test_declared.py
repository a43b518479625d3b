"""Whoever meets a readout alone learns what was asked and what was tried."""

from __future__ import annotations

from pathlib import Path

from tests.analysis.event_logs import Log, at, experiment

from promptarena.analysis.declared import declared_words
from promptarena.analysis.log_readout import read_events
from promptarena.reporting.outlines import outline
from promptarena.storage.warehouse import Warehouse


def test_a_readout_of_a_log_says_the_question_and_what_each_treatment_changes(tmp_path: Path) -> None:
    of = experiment(
        tmp_path,
        hypothesis="Citing the policy raises resolution.",
        variants=f"{{control: {{}}, cites: {{system: {'Cite the policy. ' * 20}}}, cold: {{temperature: 0}}}}",
    )
    with Warehouse() as warehouse:
        readout = read_events(of, Log(of).tables(warehouse.connection), as_of=at(days=3))
    assert readout.declared == declared_words(of)
    (question, units, cites, cold) = readout.declared
    assert question == ("Question", "Citing the policy raises resolution.")
    assert units == ("Units", "each conversation of support-bot")
    assert cites[0] == "cites"
    assert cites[1].startswith('system "Cite the policy. Cite the policy.')
    assert cites[1].endswith('...", where control has none')
    assert cold == ("cold", "temperature 0.0, where control has 0.3")
    assert outline(readout).facts[:4] == readout.declared


def test_nothing_is_said_where_nothing_was(tmp_path: Path) -> None:
    of = experiment(tmp_path, variants="{control: {}, same: {}}")
    assert declared_words(of) == (
        ("Units", "each conversation of support-bot"),
        ("same", "the same settings"),
    )
