"""The registry: what was started, where it stands, and what every feature's baseline is.

    with open_registry(address) as registry:
        standing = registry.standing("support-cites-policy")
        registry.commit(Change(transition=...))

Every transition is a compare-and-set: its number follows that of the one it was decided on, so the second of
two writers fails and nothing that it wanted is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from promptarena.errors import StaleWriteError
from promptarena.storage.registry.address import Address
from promptarena.storage.registry.course import last_transition, standings, transitions_of
from promptarena.storage.registry.database import Database
from promptarena.storage.registry.judges import Judges
from promptarena.storage.registry.known_state import KnownState
from promptarena.storage.registry.looks import Looks
from promptarena.storage.registry.migration import migrate
from promptarena.storage.registry.pins import Pins
from promptarena.storage.registry.records import (
    AllocationRecord,
    BaselineRecord,
    Change,
    SlotRecord,
    Standing,
    TransitionRecord,
)
from promptarena.storage.registry.rows import add, record_of
from promptarena.storage.registry.tables import (
    allocations,
    baselines,
    definitions,
    experiments,
    slots,
    transitions,
)

__all__ = ["Registry", "open_registry"]


@contextmanager
def open_registry(address: Address, patience_s: float = 5.0) -> Iterator[Registry]:
    """Open a registry; its tables are made, or brought up to date.

    Args:
        address: where it is.
        patience_s: seconds that an operation goes on trying while another process holds a lock.

    Raises:
        StorageError: it cannot be reached, is gone or damaged, or was made by a later version.
    """
    registry = Registry(address, patience_s)
    try:
        yield registry
    finally:
        registry.close()


class Registry:
    """An open registry. Safe to share among threads, and across a fork."""

    def __init__(self, address: Address, patience_s: float = 5.0) -> None:
        address.refuse_loss()
        self._database = Database(address, patience_s)
        try:
            migrate(self._database)
        except BaseException:
            self.close()
            raise
        self.pins = Pins(self._database)
        self.looks = Looks(self._database)
        self.judges = Judges(self._database)

    def close(self) -> None:
        """Give back every connection."""
        self._database.close()

    def standing(self, experiment: str) -> Standing | None:
        """Where an experiment stands; `None` if it was never started.

        Raises:
            StorageError: it cannot be read.
        """
        return next(iter(self._database.read(lambda connection: standings(connection, experiment))), None)

    def standings(self, *, ended: bool = True) -> tuple[Standing, ...]:
        """Where experiments stand, in the order of their names.

        Args:
            ended: whether those that have ended are among them.

        Raises:
            StorageError: they cannot be read.
        """
        return self._database.read(lambda connection: standings(connection, ended=ended))

    def history(self, experiment: str) -> tuple[TransitionRecord, ...]:
        """Everything that happened to an experiment, in its order.

        Raises:
            StorageError: it cannot be read.
        """
        return self._database.read(lambda connection: transitions_of(connection, experiment))

    def slots(self, feature: str) -> tuple[SlotRecord, ...]:
        """All slots of a feature's layer that were ever claimed, in their order.

        Raises:
            StorageError: they cannot be read.
        """
        query = select(slots).where(slots.c.feature == feature).order_by(slots.c.number)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(record_of(SlotRecord, row) for row in rows)

    def commit(self, change: Change) -> None:
        """Write a transition and what belongs to it, all or nothing. Written twice, it counts once.

        Raises:
            StaleWriteError: somebody else wrote first: another transition, a slot or a baseline.
            StorageError: it cannot be written.
        """

        def work(connection: Connection) -> None:
            if _is_written(connection, change.transition):
                return
            add(connection, experiments, [change.experiment] if change.experiment else [])
            add(connection, definitions, [change.definition] if change.definition else [])
            add(connection, transitions, [change.transition])
            add(connection, allocations, [change.allocation] if change.allocation else [])
            add(connection, slots, [change.slot] if change.slot else [])
            add(connection, baselines, change.baselines)

        try:
            self._database.write(work)
        except IntegrityError:
            # The other one has committed by now, so that it can be named.
            if self._database.read(lambda connection: _is_written(connection, change.transition)):
                return
            raise StaleWriteError(
                "Another experiment on this feature was started, or its baseline was changed, at the same "
                "moment.",
                hint="Nothing was written; look at `arena status` and try again.",
            ) from None

    def baselines(self, feature: str) -> tuple[BaselineRecord, ...]:
        """All versions of a feature's baseline, the first one first.

        Raises:
            StorageError: they cannot be read.
        """
        query = select(baselines).where(baselines.c.feature == feature).order_by(baselines.c.version)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(record_of(BaselineRecord, row) for row in rows)

    def add_baseline(self, baseline: BaselineRecord) -> None:
        """Add the version that follows the present one.

        Raises:
            StaleWriteError: somebody else added it first.
            StorageError: it cannot be written.
        """

        def work(connection: Connection) -> None:
            mine = baselines.c.feature == baseline.feature
            versions = connection.execute(select(func.count()).where(mine)).scalar_one()
            if baseline.version != versions + 1:
                raise _stale_baseline(baseline)
            add(connection, baselines, [baseline])

        try:
            self._database.write(work)
        except IntegrityError:
            raise _stale_baseline(baseline) from None

    def allocations(self, experiment: str) -> tuple[AllocationRecord, ...]:
        """All allocations of an experiment, by epoch.

        Raises:
            StorageError: they cannot be read.
        """
        query = (
            select(allocations).where(allocations.c.experiment == experiment).order_by(allocations.c.epoch)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(record_of(AllocationRecord, row) for row in rows)

    def known_state(self, at: datetime) -> KnownState:
        """All that a node serves by, in one consistent view.

        Args:
            at: now.

        Raises:
            StorageError: it cannot be read.
        """

        def work(connection: Connection) -> KnownState:
            # A handful of versions a feature: of each the last one in this order remains.
            rows = connection.execute(select(baselines).order_by(baselines.c.version)).all()
            present = {row.feature: record_of(BaselineRecord, row) for row in rows}
            return KnownState(
                changes=_changes(connection),
                at=at,
                experiments=standings(connection, ended=False),
                baselines=present,
            )

        return self._database.read(work)

    def changes(self) -> int:
        """How often anything was changed that nodes serve by: a cheap look whether to read it again.

        Raises:
            StorageError: it cannot be read.
        """
        return self._database.read(_changes)


def _changes(connection: Connection) -> int:
    # Counted, not the highest number: of two that commit at once, the lower number may well come later.
    counts = [
        select(func.count()).select_from(table).scalar_subquery()
        for table in (transitions, allocations, baselines)
    ]
    return int(connection.execute(select(counts[0] + counts[1] + counts[2])).scalar_one())


def _is_written(connection: Connection, transition: TransitionRecord) -> bool:
    """Whether it is there already, since a try whose answer was lost may have succeeded.

    Raises:
        StaleWriteError: another one came before it, or it follows none that is there.
    """
    last = last_transition(connection, transition.experiment)
    if last is not None and last.id == transition.id:
        return True
    if transition.number == (last.number + 1 if last is not None else 0):
        return False
    name = transition.experiment
    if last is None:
        raise StaleWriteError(f"`{name}` was never started, so nothing can follow.")
    raise StaleWriteError(
        f"`{name}` has changed meanwhile: {last.move} by {last.actor} at {last.at:%Y-%m-%d %H:%M:%S} UTC "
        f"came first (transition {last.number}; this one was to be {transition.number}).",
        hint=f"Nothing was written; look at `arena history {name}` and decide again.",
    )


def _stale_baseline(baseline: BaselineRecord) -> StaleWriteError:
    return StaleWriteError(
        f"The baseline of `{baseline.feature}` has changed meanwhile: there is a version {baseline.version}, "
        "or none before it.",
        hint="Nothing was written; look at it and decide again.",
    )
