from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.storage.logs import NOW, call, column, stored

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.events import Content
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.event_log import EventLog


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_that_is_kept_is_the_share_that_was_asked_for(share: float) -> None:
    policy = ContentPolicy(sample=share)
    n = 20_000
    kept = sum(policy.samples(f"request-{at}") for at in range(n))
    # Four standard errors; exact at the ends.
    assert abs(kept - n * share) <= 4 * (n * share * (1 - share)) ** 0.5


def test_a_larger_share_keeps_all_that_a_smaller_one_did() -> None:
    small, large = ContentPolicy(sample=0.2), ContentPolicy(sample=0.3)
    requests = [str(at) for at in range(5_000)]
    assert {one for one in requests if small.samples(one)} < {one for one in requests if large.samples(one)}


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="not within 0 to 1"):
        ContentPolicy(sample=10)
    with pytest.raises(ValueError, match="cannot redact `name`"):
        ContentPolicy(redact=frozenset({"name"}))


def test_content_goes_after_its_retention_and_facts_stay(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    policy = ContentPolicy(sample=1, retention=timedelta(days=2))
    with EventLog(tmp_path, clock=clock, content=policy) as log:
        for day in range(5):
            log.append([call(str(day)), Content(ts=clock.now(), request_id=str(day), input="words")])
            log.seal()
            clock.advance(timedelta(days=1))
        log.maintain()
        assert column(log) == ["0", "1", "2", "3", "4"]
        assert column(log, "content") == ["3", "4"]
        clock.advance(timedelta(minutes=10))
        log.maintain()
        assert stored(tmp_path, "content") == ["3", "4"]


def test_without_a_retention_content_stays(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with EventLog(tmp_path, clock=clock, content=ContentPolicy(sample=1, retention=None)) as log:
        log.append(Content(ts=NOW, request_id="a", input="words"))
        log.seal()
        clock.advance(timedelta(days=10_000))
        log.maintain()
        assert column(log, "content") == ["a"]
