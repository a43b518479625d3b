"""A process for the crash tests to kill: `crash_worker.py ROLE LOG SEED`. Says "ready" once it has begun."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from tests.storage.logs import call, column, rating

from promptarena.definitions.events import Event
from promptarena.storage.event_log import EventLog, LogReader
from promptarena.storage.log_folder import LogSettings

SETTINGS = LogSettings(seal_after_s=0.3, grace_s=20, merge_at=4)


def acknowledged(root: Path) -> set[str]:
    """Every event id that any writer was told is durable."""
    found: set[str] = set()
    for path in root.glob("acknowledged-*"):
        data = path.read_bytes()
        found.update(data[: data.rfind(b"\n") + 1].decode().split())
    return found


def check(root: Path, reader: LogReader) -> int:
    """Read everything as one would; gives the number of events, fails if one is missing or doubled."""
    expected = acknowledged(root)
    snapshot = reader.snapshot()
    found = Counter(column(snapshot, "generation", "event_id") + column(snapshot, "measurement", "event_id"))
    missing = [one for one in expected if one not in found]
    doubled = [one for one, times in found.items() if times > 1]
    assert not missing, f"{len(missing)} of {len(expected)} acknowledged are missing, such as {missing[0]}"
    assert not doubled, f"{len(doubled)} are doubled, such as {doubled[0]}"
    return len(expected)


def write(root: Path, seed: int) -> None:
    """Append from four threads and twenty tasks, one event or several, new ones and repetitions.

    What is acknowledged is noted.
    """
    log = EventLog(root / "log", settings=SETTINGS)
    notes = os.open(root / f"acknowledged-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def work(number: int) -> None:
        chance = random.Random(seed * 10 + number)
        sent: list[Event] = []
        while True:
            events: list[Event] = [call("r"), *(rating("csat", "r") for _ in range(chance.randrange(4)))]
            if sent and chance.random() < 0.3:
                events.append(chance.choice(sent))
            log.append(events, chance.choice(["power", "process"]))
            os.write(notes, "".join(f"{event.event_id}\n" for event in events).encode())
            sent = [*sent[-50:], *events]
            time.sleep(0.01)

    async def wait(number: int) -> None:
        chance = random.Random(seed * 10 + number)
        sent = call("r")
        while True:
            event = sent if chance.random() < 0.1 else call("r")
            await log.append_async(event, chance.choice(["power", "process"]), checked=True)
            os.write(notes, f"{event.event_id}\n".encode())
            sent = event
            await asyncio.sleep(0.05)

    async def waits() -> None:
        await asyncio.gather(*(wait(number) for number in range(3, 23)))

    def hurry() -> None:
        while True:
            events = [call("r") for _ in range(50)]
            for event in events:
                log.append(event, "process", checked=True)
                os.write(notes, f"{event.event_id}\n".encode())
            time.sleep(0.1)

    threading.Thread(target=asyncio.run, args=(waits(),)).start()
    threading.Thread(target=hurry).start()
    for number in range(3):
        threading.Thread(target=work, args=(number,)).start()


def seal(root: Path) -> None:
    """Adopt, seal, compact what is due and delete, without a pause."""
    log = EventLog(root / "log", settings=SETTINGS)
    while True:
        log.maintain()


def compact(root: Path) -> None:
    """Compact without a pause."""
    log = EventLog(root / "log", settings=SETTINGS)
    while True:
        log.compact(everything=True)


def read(root: Path) -> None:
    """Read without a pause; ends with an error as soon as a reading is wrong."""
    reader = LogReader(root / "log", settings=SETTINGS)
    while True:
        print(check(root, reader), flush=True)


if __name__ == "__main__":
    role, place, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if role in ("seal", "compact"):
        pass
    print("ready", flush=True)
    if role == "write":
        write(place, number)
    else:
        {"seal": seal, "compact": compact, "read": read}[role](place)
