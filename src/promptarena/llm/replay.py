"""Calls on file: what was asked and what came, one JSON line each; written by a run, answered again later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

import msgspec

from promptarena.definitions.content_hash import content_hash
from promptarena.errors import DataError, Location, StorageError
from promptarena.llm.attempt import AttemptError, Failure, Received
from promptarena.llm.model_client import Completion, ModelCall

__all__ = ["Recording", "Replay"]

_DECODER = msgspec.json.Decoder(Completion)


class Recording:
    """Writes calls to a file, in place of what it held.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open("w", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"cannot record calls: {error.strerror}.", where=Location(path)) from error

    def add(self, call: ModelCall, completion: Completion) -> None:
        """Keep one call and what came of it.

        Raises:
            StorageError: the disk refused.
        """
        plain = json.loads(msgspec.json.encode(completion))
        line = {"request": dict(call.request), "repeat": call.repeat, "completion": plain}
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise StorageError(
                f"cannot record calls: {error.strerror}.", where=Location(self._path)
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Replay:
    """Answers from a recording; what was not asked then has no answer now.

    Texts are read again from the file when they are asked for: a recording may exceed memory.

    Raises:
        DataError: the file cannot be read, or is no recording.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at: dict[bytes, int] = {}
        self.identity = f"replay {path}"
        try:
            with path.open("rb") as file:
                position = 0
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        self._at[self._key_of(line, number)] = position
                    position += len(line)
        except OSError as error:
            raise DataError(
                f"The recording cannot be read: {error.strerror}.", where=Location(path)
            ) from error

    async def send(self, call: ModelCall, _attempt: int = 0) -> Received:
        """Look a call up.

        Raises:
            AttemptError: it was not recorded.
        """
        position = self._at.get(_key(call.request, call.repeat))
        if position is None:
            raise AttemptError(f"{self._path.name} holds no answer to this request", Failure.CALL)
        with self._path.open("rb") as file:
            file.seek(position)
            line = json.loads(file.readline())
        found = _DECODER.decode(msgspec.json.encode(line["completion"]))
        return Received(facts=found.facts, timing=found.timing, logprobs=found.logprobs)

    async def close(self) -> None:
        """Nothing is open."""

    def _key_of(self, line: bytes, number: int) -> bytes:
        try:
            said = json.loads(line)
            key = _key(said["request"], said["repeat"])
            _DECODER.decode(msgspec.json.encode(said["completion"]))
        except (ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
            raise DataError(
                "This line is no recorded call.",
                where=Location(self._path, number),
                hint="Recordings are written by `arena duel FILE --record FILE`.",
            ) from error
        return key


def _key(request: Any, repeat: int) -> bytes:
    return bytes.fromhex(content_hash([dict(request), repeat]))
