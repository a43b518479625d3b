"""`arena provider` as a user starts it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

from openai import OpenAI
from tests.cli.conftest import Arena


def test_it_answers_until_ctrl_c_and_says_what_to_set() -> None:
    command = [
        sys.executable,
        "-m",
        "promptarena",
        "provider",
        "--port",
        "0",
        "--pace",
        "0",
        "--failures",
        "0",
    ]
    process = subprocess.Popen(
        command,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(4)]
        variables = dict(line.split("export ")[1].strip().split("=", 1) for line in told if "export" in line)
        with OpenAI(base_url=variables["OPENAI_BASE_URL"], api_key=variables["OPENAI_API_KEY"]) as client:
            for model in ("sim-small", "gpt-4o-mini"):
                found = client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": "The vase arrived in pieces."}]
                )
                assert found.model == "sim-small-2026-03-02"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert "Answered 2 requests" in out
    assert process.returncode == 0
    assert err == ""


def test_a_port_that_is_taken_is_told(arena: Arena) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = arena("provider", "--port", str(taken.getsockname()[1]))
    assert found.status == 2
    assert "cannot be used" in found.err
