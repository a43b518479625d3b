"""A run's folder: answers by variant, judgments, and what the run was; all of it written as it comes.

    .arena/runs/<run id>/
      run.json                    what was run, how far it came, what it cost
      answers/<variant>.jsonl     one line an answer, with what checks may know of its call
      judgments.jsonl             one line a judgment

Answers have the form of recorded outputs, so that a finished run can be compared again without any call. The
files of a run that was stopped hold what was done; the run that goes on has a folder of its own and finds
paid answers in the cache.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from promptarena.errors import Location, StorageError
from promptarena.evaluation.judges import Judgment
from promptarena.llm.model_client import Completion

__all__ = ["RunFolder", "answer_row"]


_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)


class RunFolder:
    """Open files of one run; close it after use.

    Raises:
        StorageError: the folder cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[Path, BinaryIO] = {}
        self._answers: dict[str, Path] = {}
        try:
            (root / "answers").mkdir(parents=True)
        except OSError as error:
            raise self._failure(error, root) from error

    def answers(self, variant: str) -> Path:
        """Where a variant's answers are."""
        return self.root / "answers" / f"{variant}.jsonl"

    @property
    def judgments(self) -> Path:
        return self.root / "judgments.jsonl"

    def write_answer(self, variant: str, row: dict[str, Any]) -> None:
        """Write one answer down.

        Raises:
            StorageError: the disk refused.
        """
        path = self._answers.get(variant)
        if path is None:
            path = self._answers[variant] = self.answers(variant)
        self._line(path, row)

    def write_judgment(self, judgment: Judgment) -> None:
        """Write one judgment down.

        Raises:
            StorageError: the disk refused.
        """
        plain = asdict(judgment)
        self._line(self.judgments, plain.pop("subject") | plain)

    def write_about(self, about: dict[str, Any]) -> None:
        """Write what the run was, in place of what stood there.

        Raises:
            StorageError: the disk refused.
        """
        path = self.root / "run.json"
        try:
            path.write_text(json.dumps(about, indent=2, default=str) + "\n", encoding="utf-8")
        except OSError as error:
            raise self._failure(error, path) from error

    def flush(self) -> None:
        """Let readers see what was written until now.

        Raises:
            StorageError: the disk refused.
        """
        for path, file in self._files.items():
            try:
                file.flush()
            except OSError as error:
                raise self._failure(error, path) from error

    def close(self) -> None:
        """Close the files.

        Raises:
            StorageError: what was buffered could not be written.
        """
        for path, file in self._files.items():
            try:
                file.close()
            except OSError as error:
                raise self._failure(error, path) from error
        self._files.clear()

    def _line(self, path: Path, value: dict[str, Any]) -> None:
        try:
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = path.open("wb")
            file.write(_ENCODER.encode(value) + b"\n")
        except OSError as error:
            raise self._failure(error, path) from error

    @staticmethod
    def _failure(error: OSError, path: Path) -> StorageError:
        return StorageError(f"cannot write the run's files: {error.strerror}.", where=Location(path))


def answer_row(case: str, repeat: int, completion: Completion | None, error: str | None) -> dict[str, Any]:
    """One line of a variant's answers; what is unknown is left out. A call without an answer has a null
    output and says why."""
    if completion is None:
        return {"id": case, "repeat": repeat, "output": None, "error": error}
    facts, timing = completion.facts, completion.timing
    known = {
        "latency_ms": timing.latency_ms,
        "ttft_ms": timing.ttft_ms,
        "tpot_ms": timing.tpot_ms,
        "itl_p95_ms": timing.itl_p95_ms,
        "cost_usd": completion.cost_usd,
        "finish_reason": facts.finish_reason,
        "model": facts.model,
        "system_fingerprint": facts.system_fingerprint,
        "input_tokens": facts.input_tokens,
        "output_tokens": facts.output_tokens,
        "cached_tokens": facts.cached_tokens,
        "reasoning_tokens": facts.reasoning_tokens,
        "response_id": facts.response_id,
        "request_id": completion.request_id,
        "retry_count": completion.retry_count or None,
        "cached": completion.cached or None,
    }
    row = {"id": case, "repeat": repeat, "output": facts.output or ""}
    row |= {name: value for name, value in known.items() if value is not None}
    return row | {"tool_calls": list(facts.tool_calls)}
