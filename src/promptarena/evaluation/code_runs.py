"""Running a model's code against tests: in bubblewrap's sandbox, or not at all unless that is allowed.

In the sandbox the code sees the interpreter and an empty folder: no network, no files of yours, no
environment, no other process. Either way it has limits of time, memory, processes and file size. Without
bubblewrap that is all it has, so it runs only where somebody said `--allow-code`.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from promptarena.errors import UsageError

__all__ = ["CodeRunner", "code_in", "code_runner"]

_LAUNCHER: Final = """
import os, resource, runpy, sys
word = sys.stdin.buffer.readline()
told, null = os.dup(1), os.open(os.devnull, os.O_RDWR)
for stream in (0, 1, 2):
    os.dup2(null, stream)
for name, most in ((resource.RLIMIT_CPU, {seconds}), (resource.RLIMIT_AS, 1 << 30),
                   (resource.RLIMIT_FSIZE, 16 << 20), (resource.RLIMIT_CORE, 0), *{processes}):
    resource.setrlimit(name, (most, most))
runpy.run_path("main.py", run_name="__main__")
os.write(told, word)
"""
# Code that leaves early, by sys.exit or os._exit, never gets to say the word, whatever status it leaves with.
_FENCE: Final = re.compile(
    r"```[ \t]*(?:python|py|python3)?[ \t]*\r?\n(.*?)(?:\r?\n)?```", re.DOTALL | re.IGNORECASE
)
_SYSTEM: Final = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")


@dataclass(frozen=True, slots=True)
class CodeRunner:
    """Runs Python, sandboxed or allowed."""

    sandbox: str | None
    """The path of bubblewrap; None runs without it."""

    def passes(self, code: str, tests: str, timeout_s: float) -> bool:
        """Whether the tests run after the code to their end without an error, within the time."""
        word = secrets.token_hex(16).encode()
        with tempfile.TemporaryDirectory(prefix="arena-code-") as folder:
            Path(folder, "main.py").write_text(f"{code}\n\n{tests}\n", encoding="utf-8", errors="replace")
            process = subprocess.Popen(
                self._command(folder, timeout_s),
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            with process.stdout, contextlib.suppress(subprocess.TimeoutExpired):
                with contextlib.suppress(BrokenPipeError), process.stdin as said:
                    said.write(word + b"\n")
                try:
                    return process.wait(timeout_s) == 0 and process.stdout.read(len(word)) == word
                finally:
                    # Whatever it started in its session ends with it.
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        return False

    def _command(self, folder: str, timeout_s: float) -> list[str]:
        # A limit on processes counts all of a user's, unless a namespace has users of its own.
        processes = "((resource.RLIMIT_NPROC, 64),)" if self.sandbox else "()"
        launcher = _LAUNCHER.format(seconds=math.ceil(timeout_s) + 1, processes=processes)
        python = [sys.executable, "-I", "-B", "-c", launcher]
        if self.sandbox is None:
            return python
        here = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)}
        command = [self.sandbox, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
        # What is mounted later hides what is under it, and an interpreter may live below /tmp. The folder
        # keeps its own path, which nothing else has.
        command += [part for path in _SYSTEM if Path(path).exists() for part in ("--ro-bind", path, path)]
        command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        command += [part for path in (*sorted(here), folder) for part in ("--ro-bind", path, path)]
        return [*command, "--chdir", folder, *python]


def code_runner(*, allow_code: bool) -> CodeRunner:
    """What runs code here.

    Raises:
        UsageError: there is no sandbox that works, and nobody allowed to do without.
    """
    sandbox = _working_sandbox()
    if sandbox is None and not allow_code:
        raise UsageError(
            "Running code that a model wrote needs bubblewrap (`bwrap`), and here is none that works.",
            hint="Install it, or say --allow-code to run the code without a sandbox.",
        )
    return CodeRunner(sandbox)


@cache
def _working_sandbox() -> str | None:
    """Bubblewrap, if it is installed and the system lets it make namespaces (many containers do not)."""
    found = shutil.which("bwrap")
    if found is None or not CodeRunner(found).passes("pass", "", 10.0):
        return None
    return found


def code_in(output: str) -> str:
    """The code of an answer: its fenced blocks, or all of it where it has none.

    >>> code_in("Here:\\n```python\\nx = 1\\n```\\nDone.")
    'x = 1'
    """
    blocks = _FENCE.findall(output)
    return "\n\n".join(blocks) if blocks else output
