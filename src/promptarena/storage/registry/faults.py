"""What a database's error means: what happened, whether it passes by itself, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DBAPIError

from promptarena.storage.registry.address import Address

__all__ = ["Fault", "fault_of"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One error."""

    text: str
    hint: str | None
    passes: bool
    """Whether another try may well succeed."""
    cause: BaseException


# https://www.sqlite.org/rescode.html, primary codes: what it is, what to do.
_SQLITE: Final = {
    8: ("may not be written", "Change its owner, or say another `registry` in arena.yaml."),
    # What SQLite also says where there is no room for its index of the log (SQLITE_IOERR_SHMSIZE).
    10: (
        "cannot be read or written: the disk reports an error",
        "It may be full: make room and try again; else look at the system's log.",
    ),
    11: ("is damaged", "Restore it from a backup; the event log is not affected."),
    13: ("cannot be written: the disk is full", "Make room and try again."),
    14: ("cannot be opened", "Check that its folder is there and that this account may write to it."),
    26: ("is no registry: the file holds something else", "Say another `registry` in arena.yaml."),
}
_SQLITE_LOCKED: Final = (5, 6)
# https://www.postgresql.org/docs/16/errcodes-appendix.html: serialisation, deadlock, lock not available.
_POSTGRES_PASSES: Final = ("40001", "40P01", "55P03")
_POSTGRES: Final = {
    "08": ("cannot be reached", "Check that the server runs and that the address is right."),
    "28": ("refuses this account", "Check user and password (PGPASSWORD, ~/.pgpass)."),
    "3D": ("is not there: the server has no such database", "Create it: createdb NAME."),
    "42501": ("may not be changed by this account", "Grant it CREATE on the schema and all on its tables."),
    "53": ("cannot take more: the server is short of disk, memory or connections", "Look at its log."),
    "57P": ("cannot be reached: the server is stopping or starting", "Try again when it runs."),
}


def fault_of(error: DBAPIError, address: Address) -> Fault:
    """Put an error into words."""
    cause = error.orig or error
    if address.file is not None:
        return _sqlite_fault(cause, address)
    return _postgres_fault(error, cause, address)


def _sqlite_fault(cause: BaseException, address: Address) -> Fault:
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the rest tells one kind of a code from another
    if code in _SQLITE_LOCKED:
        hint = f"Try again; if it lasts, see which process holds it: fuser {address}"
        return Fault(f"The registry {address} is locked by another process.", hint, True, cause)
    if code in _SQLITE:
        what, hint = _SQLITE[code]
        return Fault(f"The registry {address} {what}.", hint, False, cause)
    return _other(cause, address)


def _postgres_fault(error: DBAPIError, cause: BaseException, address: Address) -> Fault:
    state = getattr(cause, "sqlstate", None)
    if state in _POSTGRES_PASSES:
        hint = "Try again; if it lasts, see pg_stat_activity for who holds it."
        return Fault(f"The registry {address} is locked by another connection.", hint, True, cause)
    # libpq says nothing but words when it cannot connect; a connection that broke is made anew.
    if state is None and (error.connection_invalidated or type(cause).__name__ == "OperationalError"):
        reason = _first_line(cause)
        what, hint = _POSTGRES["08"]
        text = f"The registry {address} {what}: {reason}."
        return Fault(text, hint, error.connection_invalidated, cause)
    for prefix, (what, hint) in _POSTGRES.items():
        if state and state.startswith(prefix):
            return Fault(f"The registry {address} {what}.", hint, error.connection_invalidated, cause)
    return _other(cause, address)


def _other(cause: BaseException, address: Address) -> Fault:
    return Fault(f"The registry {address} answers: {_first_line(cause)}.", None, False, cause)


def _first_line(cause: BaseException) -> str:
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0].rstrip(".")
