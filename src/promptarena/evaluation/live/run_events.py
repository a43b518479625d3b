"""A live run in the words of the event log: each call that was made, once, when it is paid for.

An answer out of the cache is no new event: its call stands in the log already, and its cost would count
twice. So does a judgment out of the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.events import Generation
from promptarena.definitions.variant import Settings
from promptarena.llm.chat_request import sampling_parameters
from promptarena.llm.model_client import Completion

__all__ = ["RunIdentity", "offline_generation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """What all events of a run say."""

    run_id: str
    dataset_hash: str
    feature: str
    """The feature whose variants these are; a duel's own name where there is none."""
    experiment: str | None = None


def offline_generation(
    run: RunIdentity,
    variant: str,
    settings: Settings,
    case: str,
    repeat: int,
    completion: Completion,
    *,
    stream: bool,
) -> Generation:
    """The event of one call that was made."""
    facts, timing = completion.facts, completion.timing
    assert completion.at is not None
    assert completion.request_id is not None
    params = sampling_parameters(settings)
    if settings.retrieval:
        params["retrieval"] = dict(settings.retrieval)
    return Generation(
        ts=completion.at,
        event_id=new_event_id(completion.at),
        request_id=completion.request_id,
        feature=run.feature,
        role="offline",
        run_id=run.run_id,
        dataset_hash=run.dataset_hash,
        case_id=case,
        repeat=repeat,
        experiment=run.experiment,
        variant=variant,
        config_hash=settings.config_hash,
        provider=settings.provider,
        model_asked=settings.model,
        model_answered=facts.model,
        system_fingerprint=facts.system_fingerprint,
        params=params or None,
        stream=stream,
        response_id=facts.response_id,
        input_tokens=facts.input_tokens,
        output_tokens=facts.output_tokens,
        cached_tokens=facts.cached_tokens,
        reasoning_tokens=facts.reasoning_tokens,
        cost_usd=completion.cost_usd,
        latency_ms=timing.latency_ms,
        ttft_ms=timing.ttft_ms,
        tpot_ms=timing.tpot_ms,
        itl_p95_ms=timing.itl_p95_ms,
        finish_reason=facts.finish_reason,
        retry_count=completion.retry_count,
    )
