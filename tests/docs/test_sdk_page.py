"""The examples of the SDK's page run as written, against a provider that answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from promptarena import Arena
from promptarena.definitions.events import Exposure, Generation, Measurement
from promptarena.demo.provider import SimulatedProvider
from promptarena.storage.event_log import LogReader
from promptarena.storage.segments import read_segment

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "sdk.md"


def test_the_examples_run_and_write_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "arena.yaml").write_text(
        "providers: {shop: {base_url: http://127.0.0.1/v1}}\n"
        "features: {support-bot: {provider: shop, model: sim-small}}\n"
    )
    first, second = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    with SimulatedProvider(pace=0, failures=0) as provider:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        names: dict[str, object] = {}
        exec(first, names)
        exec(second, names)
        arena = names["arena"]
        assert isinstance(arena, Arena)
        arena.close()
        names["client"].close()  # type: ignore[attr-defined]
    log = LogReader(tmp_path / ".arena" / "log").folder
    events = [event for path in log.segments() for event in read_segment(path).events]
    whole, streamed = (event for event in events if isinstance(event, Generation))
    assert (whole.conversation_id, whole.user_id, whole.turn, whole.ttft_ms) == ("c-17", "u-3", 0, None)
    assert streamed.output_tokens
    assert streamed.ttft_ms
    assert [event.name for event in events if isinstance(event, Measurement)] == ["thumbs_up", "resolved"]
    assert not any(isinstance(event, Exposure) for event in events)
