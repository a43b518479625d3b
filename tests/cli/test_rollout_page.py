"""docs/rollout.md runs: each command of its transcripts prints what the page says."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

from tests.cli.conftest import Arena
from tests.rollout.projects import gate, verdict, write_project

_PAGE = Path(__file__).parents[2] / "docs" / "rollout.md"
_COMMAND = re.compile(r"^\$ arena (?P<arguments>.*)\n(?P<printed>(?:(?!\$).*\n)*)", re.MULTILINE)


def test_the_page_prints_what_it_says(arena: Arena, tmp_path: Path) -> None:
    write_project(tmp_path)
    gate(tmp_path)
    verdict(tmp_path)
    transcripts = re.findall(r"^```console\n(.*?)^```$", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
    commands = [match for transcript in transcripts for match in _COMMAND.finditer(transcript)]
    assert len(commands) == 7
    same = doctest.OutputChecker().check_output
    for command in commands:
        outcome = arena(*shlex.split(command["arguments"]))
        assert outcome.status == 0, (command["arguments"], outcome.err)
        assert same(command["printed"], outcome.out, doctest.ELLIPSIS), outcome.out
