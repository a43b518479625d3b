"""What may go: files whose grace has passed, and what processes left behind that died."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, timedelta
from pathlib import Path

import msgspec

from promptarena.definitions.clock import Clock
from promptarena.definitions.events import Kind
from promptarena.storage.durable_files import explained, fsync_folder, try_lock
from promptarena.storage.log_folder import LogFolder, LogSettings, age_of, stamped
from promptarena.storage.manifest import Manifest, edit_manifest, read_manifest

__all__ = ["Housekeeper"]


class Housekeeper:
    """Deletes what no reader can need any more."""

    def __init__(self, folder: LogFolder, settings: LogSettings, clock: Clock) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock

    def tidy(self) -> None:
        """One round.

        Raises:
            StorageError: a file could not be deleted, or the manifest not be written.
        """
        self._remove_abandoned_work()
        if self._expired(manifest := read_manifest(self._folder)) or self._unlisted(manifest):
            edit_manifest(self._folder, self._remove_expired)

    def expire(self, kind: Kind, retention: timedelta) -> None:
        """Let go of one kind's days that lie wholly before the retention.

        Raises:
            StorageError: the manifest could not be written.
        """
        keep_from = (self._clock.now().astimezone(UTC) - retention).date().isoformat()

        def change(manifest: Manifest) -> Manifest:
            gone = [one for one in manifest.segments if one.kind == kind and one.day < keep_from]
            if not gone:
                return manifest
            now = stamped(self._clock, self._settings.host)
            return msgspec.structs.replace(
                manifest,
                segments=tuple(one for one in manifest.segments if one not in gone),
                retired={**manifest.retired, **{one.path: now for one in gone}},
            )

        edit_manifest(self._folder, change)

    def _expired(self, manifest: Manifest) -> tuple[list[str], list[str]] | None:
        """Names of JSON lines and paths of retired files whose grace has passed, if any."""
        host, grace = self._settings.host, self._settings.grace_s
        lines = [
            name for name, since in manifest.sealed_from.items() if age_of(since, self._clock, host) >= grace
        ]
        files = [
            path for path, since in manifest.retired.items() if age_of(since, self._clock, host) >= grace
        ]
        return (lines, files) if lines or files else None

    def _unlisted(self, manifest: Manifest) -> list[Path]:
        listed = set(manifest.listed())
        found = [*self._folder.sealed_files(), *self._folder.erased.glob("*.parquet")]
        return [path for path in found if str(path.relative_to(self._folder.root)) not in listed]

    def _remove_expired(self, manifest: Manifest) -> Manifest:
        """Under the manifest's lock, where an unlisted file is nobody's work in progress.

        Files go before their names: a name without its file does no harm, JSON lines that are no longer
        known to be sealed would be read twice.
        """
        lines, files = self._expired(manifest) or ([], [])
        try:
            for name in lines:
                (self._folder.open / name).unlink(missing_ok=True)
            fsync_folder(self._folder.open)
            for path in [*(self._folder.root / file for file in files), *self._unlisted(manifest)]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise explained(
                error, "delete files of the log that are no longer needed", self._folder.root
            ) from error
        if not lines and not files:
            return manifest
        return msgspec.structs.replace(
            manifest,
            sealed_from={name: at for name, at in manifest.sealed_from.items() if name not in lines},
            retired={path: at for path, at in manifest.retired.items() if path not in files},
            removals=manifest.removals + 1,
        )

    def _remove_abandoned_work(self) -> None:
        abandoned = [*self._folder.work.glob("*.lock"), *self._folder.open.glob(".*.jsonl")]
        for path in abandoned:
            try:
                handle = try_lock(path, create=False)
            except FileNotFoundError:
                continue
            if handle is None:
                continue
            try:
                if path.suffix == ".lock":
                    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
            finally:
                os.close(handle)
