"""Code of models: what passes its tests, what only says so, and what a sandbox keeps it from."""

from __future__ import annotations

import os
import sys
import tempfile
import venv
from pathlib import Path

import pytest

from promptarena.errors import UsageError
from promptarena.evaluation import code_runs
from promptarena.evaluation.code_runs import CodeRunner, code_in, code_runner

BARE = CodeRunner(None)


@pytest.mark.parametrize(
    ("code", "tests", "passes"),
    [
        ("def f(x): return x + 1", "assert f(1) == 2", True),
        ("def f(x): return x", "assert f(1) == 2", False),
        ("def f(x) return", "assert True", False),
        ("import sys; sys.exit(0)", "assert False", False),
        ("import os; os._exit(0)", "assert False", False),
        ("print('x' * 1_000_000)", "assert True", True),
        ("x = input()", "assert True", False),
        ("x = bytearray(4 << 30)", "assert True", False),
    ],
)
def test_only_tests_that_run_to_their_end_pass(code: str, tests: str, passes: bool) -> None:
    assert BARE.passes(code, tests, 20.0) is passes


def test_what_takes_too_long_fails_and_is_ended(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    code = f"import os; open({str(marker)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"
    assert not BARE.passes(code, "", 3.0)
    if marker.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(marker.read_text()), 0)


def test_the_code_has_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert BARE.passes("import os", "assert 'OPENAI_API_KEY' not in os.environ", 20.0)


def test_a_sandbox_hides_files_and_the_network_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("secret")
    reach = f"""
import os, socket
assert not os.path.exists({str(tmp_path / "mine.txt")!r})
assert not os.path.exists({__file__!r})
try:
    open("main.py", "a").write("x")
    raise AssertionError("it can write to its folder")
except OSError:
    pass
assert len([name for name in os.listdir("/proc") if name.isdigit()]) < 5
assert socket.if_nameindex() == [(1, "lo")]
"""
    if code_runs._working_sandbox() is None:
        with pytest.raises(UsageError, match="needs bubblewrap"):
            code_runner(allow_code=False)
        return
    runner = code_runner(allow_code=False)
    assert runner.sandbox is not None
    assert runner.passes(reach, "", 20.0)
    assert not BARE.passes(reach, "", 20.0)


def test_a_sandbox_sees_an_interpreter_that_lives_below_tmp(monkeypatch: pytest.MonkeyPatch) -> None:
    if (sandbox := code_runs._working_sandbox()) is None:
        return
    with tempfile.TemporaryDirectory(dir="/tmp") as prefix:
        venv.create(prefix, symlinks=True, with_pip=False)
        monkeypatch.setattr(sys, "prefix", prefix)
        monkeypatch.setattr(sys, "executable", f"{prefix}/bin/python")
        assert CodeRunner(sandbox).passes("import sys", f"assert sys.prefix == {prefix!r}", 20.0)


def test_a_sandbox_that_does_not_work_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    code_runs._working_sandbox.cache_clear()
    try:
        with pytest.raises(UsageError, match="--allow-code"):
            code_runner(allow_code=False)
        assert code_runner(allow_code=True).sandbox is None
    finally:
        code_runs._working_sandbox.cache_clear()


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("x = 1", "x = 1"),
        ("```py\nx = 1\n```", "x = 1"),
        ("a\n```\nx = 1\n```\nb\n```Python\r\ny = 2\r\n```", "x = 1\n\ny = 2"),
    ],
)
def test_code_is_taken_out_of_its_fences(output: str, code: str) -> None:
    assert code_in(output) == code
