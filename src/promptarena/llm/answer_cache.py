"""Answers that were paid for, kept on disk and found again by what was asked.

One SQLite file, shared between runs and processes. An answer is acknowledged once it is committed and synced
(write-ahead log, `synchronous=FULL`): then neither `kill -9` nor a power cut takes it back. All answers that
wait are committed together, so that the disk's pace does not limit the calls'.

Reading is a look into an index on the loop's own thread: it takes less time than handing it to another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import queue
import sqlite3
import threading
from pathlib import Path
from typing import Final

import msgspec

from promptarena.errors import Location, StorageError
from promptarena.llm.model_client import Completion, ModelCall

__all__ = ["AnswerCache", "cache_key"]

_VERSION: Final = 1
"""Of keys and values; answers of other versions are not found."""
_DECODER: Final = msgspec.json.Decoder(Completion)
_ENCODER: Final = msgspec.json.Encoder()
_KEY_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_TABLE: Final = "CREATE TABLE IF NOT EXISTS answer (key BLOB PRIMARY KEY, value BLOB NOT NULL)"
_PATIENCE_MS: Final = 30_000

_Waiting = tuple[bytes, bytes, "asyncio.Future[None]"]


def cache_key(call: ModelCall, identity: str) -> bytes:
    """The key of an answer: where it comes from, the full request, which repeat, which judge.

    Args:
        call: the call.
        identity: of the provider: its address, not its name in a file.
    """
    said = (_VERSION, identity, call.request, call.repeat, call.judge_hash, call.stream)
    return hashlib.sha256(_KEY_ENCODER.encode(said)).digest()


class AnswerCache:
    """Answers by key. Close it after use (it is a context manager).

    Args:
        path: its file, made if need be.
        fresh: find only what was kept since it was opened; what is kept replaces what stood there.

    Raises:
        StorageError: the file cannot be opened, or is damaged.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self._path = path
        self._since: set[bytes] | None = set() if fresh else None
        # What another run paid for at the same time stands: one answer for one question.
        self._insert = f"INSERT OR {'REPLACE' if fresh else 'IGNORE'} INTO answer VALUES (?, ?)"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._reader = self._opened()
            self._reader.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error, "open the cache of answers") from error
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def find(self, key: bytes) -> Completion | None:
        """The answer that was kept, if one was.

        Raises:
            StorageError: the file is damaged.
        """
        if self._since is not None and key not in self._since:
            return None
        try:
            row = self._reader.execute("SELECT value FROM answer WHERE key = ?", (key,)).fetchone()
            return None if row is None else _DECODER.decode(row[0])
        except sqlite3.Error as error:
            raise self._explained(error, "read the cache of answers") from error
        except msgspec.MsgspecError:
            return None  # written by another version of this package: as good as not there

    async def keep(self, key: bytes, completion: Completion) -> None:
        """Keep an answer; it is durable when this returns.

        Raises:
            StorageError: the disk refused.
        """
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="promptarena-answers", daemon=True)
            self._writer.start()
        done = asyncio.get_running_loop().create_future()
        self._queue.put((key, _ENCODER.encode(completion), done))
        await done
        if self._since is not None:
            self._since.add(key)

    def close(self) -> None:
        """Write what waits, and close the file."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        self._reader.close()

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _write(self) -> None:
        """Commit whatever waits, again and again, until told to stop."""
        connection: sqlite3.Connection | None = None
        going = True
        while going:
            batch: list[_Waiting] = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            going = item is not None
            if not batch:
                continue
            failure: StorageError | None = None
            try:
                connection = connection or self._opened()
                self._commit(connection, batch)
            except Exception as error:  # whatever it is, whoever waits is told
                failure = self._explained(error, "keep answers")
            futures = [future for *_, future in batch]
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                futures[0].get_loop().call_soon_threadsafe(_resolve, futures, failure)
        if connection is not None:
            connection.close()

    def _commit(self, connection: sqlite3.Connection, batch: list[_Waiting]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(self._insert, [(key, value) for key, value, _ in batch])
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _explained(self, error: Exception, doing: str) -> StorageError:
        said = str(error) or type(error).__name__
        hint = None
        if "full" in said:
            hint = "Make room; what was kept stands, and the same command goes on from there."
        elif "malformed" in said or "not a database" in said:
            hint = "The file is damaged: move it away; answers in it are then asked for again."
        return StorageError(f"cannot {doing}: {said}.", where=Location(self._path), hint=hint)


def _resolve(futures: list[asyncio.Future[None]], failure: StorageError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
