"""docs/bandits-and-interleaving.md runs: its files load, its Python is executed, its commands print what it says."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path

import numpy as np
from tests.cli.conftest import Arena, arena

__all__ = ["arena"]

_PAGE = Path(__file__).parents[2] / "docs" / "bandits-and-interleaving.md"
_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ arena (?P<arguments>.*)\n(?P<printed>(?:(?!\$).*\n)*)", re.MULTILINE)


def _rounds(folder: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [
        f"{'b' if b else 'a'},{int(rng.random() < (0.3 if b else 0.2))},{0.02 if b else 0.98}"
        for b in rng.random(3000) < 0.02
    ]
    (folder / "rounds.csv").write_text("\n".join(["arm,clicked,chance", *rows]) + "\n")


def test_the_page_does_what_it_says(arena: Arena, tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text(
        "providers: {p: {base_url: http://127.0.0.1/v1}}\n"
        "features:\n"
        "  support-bot: {provider: p, model: m, system: Be helpful.}\n"
        "  search: {provider: p, model: m, retrieval: {index: bm25}}\n"
    )
    _rounds(tmp_path)
    same, ran = doctest.OutputChecker().check_output, []
    for block in _BLOCK.finditer(_PAGE.read_text()):
        text = block["text"]
        if block["kind"] == "yaml":
            (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
        elif block["kind"] == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(text, {})
            promised = re.findall(r"^print\(.*\)  # (.*)$", text, re.MULTILINE)
            assert printed.getvalue().splitlines() == promised
        else:
            for command in _COMMAND.finditer(text):
                outcome = arena(*shlex.split(command["arguments"]))
                assert outcome.status == 0, (command["arguments"], outcome.err)
                assert same(command["printed"], outcome.out, doctest.ELLIPSIS), outcome.out
        ran.append(block["kind"])
    assert ran == [
        "yaml",
        "console",
        "python",
        "console",
        "python",
        "yaml",
        "console",
        "python",
        "console",
        "console",
    ]
