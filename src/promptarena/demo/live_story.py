"""The whole way of one change, live: gate, canary, A/B test, verdict, over real HTTP into a real log.

The provider and its customers are simulated, and the story turns the calendar; everything between them is the
real thing: HTTP requests, assignments, the event log, the registry, transitions, readouts.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from promptarena.analysis.plan import plan
from promptarena.analysis.plan_flags import request_from_definition
from promptarena.definitions.experiment import Experiment, load_experiment
from promptarena.definitions.project import load_project
from promptarena.definitions.readout import Readout, Status
from promptarena.demo.customers import Customer, customers
from promptarena.demo.live_project import EXPERIMENT, FEATURE, write_project
from promptarena.demo.narration import Bar, canary_line, chapter, look_line, progress
from promptarena.demo.provider import SimulatedProvider
from promptarena.demo.shop_floor import ShopFloor
from promptarena.demo.simulated_clock import SimulatedClock
from promptarena.demo.truth import RETRIES, resolved_under
from promptarena.errors import ArenaError, UsageError
from promptarena.evaluation.duel import settle_duel
from promptarena.evaluation.offline_stage import offline_duel
from promptarena.llm.response_facts import ResponseFacts
from promptarena.reporting.files import write_whole
from promptarena.reporting.html import write_html
from promptarena.reporting.json import to_json
from promptarena.reporting.text import print_text
from promptarena.rollout.evidence import read_evidence
from promptarena.rollout.experiment_readout import read_and_record
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.sdk.async_client import AsyncArena
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.registry import Registry, open_registry
from promptarena.wiring import live_setup, log_folder, registry_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["RealProvider", "tell_live"]

SEED: Final = 20260301
_SUNDAY: Final = datetime(2026, 3, 1, tzinfo=UTC)
"""The canary's day; the A/B test begins on the Monday after, so that its weeks are whole."""
_DAY: Final = timedelta(days=1)
_MATURED: Final = timedelta(hours=1)
"""After a midnight: the windows of the day before yesterday have closed, and what comes late has come."""
_DAILY: Final = 70
_WEEKS: Final = 4
_MADE_UP: Final = ("Simulated", "the provider, the customers and the calendar; this is a demonstration")
_INPUT_USD, _OUTPUT_USD = 0.15e-6, 0.60e-6


@dataclass(frozen=True, slots=True)
class RealProvider:
    """A provider to talk to in place of the simulated one."""

    base_url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    judge: str | None = None
    """The model that compares answers; the same one where none is said."""


def tell_live(
    folder: Path,
    console: Console | None = None,
    *,
    real: RealProvider | None = None,
    daily: int = _DAILY,
    weeks: int = _WEEKS,
) -> Readout | None:
    """Tell the story, and leave its project, log, registry and page in a folder.

    Returns:
        The last readout; `None` where the gate let nothing through, so that there is none.

    Args:
        folder: where to write; what an earlier telling left there is replaced.
        console: where to print.
        real: a provider to use in place of the simulated one.
        daily: conversations a day.
        weeks: of A/B test at most.

    Raises:
        UsageError: the folder holds something else, or the real provider's key is not set.
        ArenaError: the folder cannot be written to, or the provider does not answer.
    """
    console = console or Console()
    if real is None:
        with SimulatedProvider(SEED) as provider:
            simulated = RealProvider(provider.base_url, "sim-small", judge="sim-large")
            return _told(_Story(folder, console, simulated, True, daily, weeks), "simulated")
    if not (key := os.environ.get(real.key_env)):
        hint = f"Set it to the key of {real.base_url}, or name another variable with --key-env."
        raise UsageError(f"{real.key_env} is not set.", hint=hint)
    return _told(_Story(folder, console, real, False, daily, weeks), key)


def _told(story: _Story, key: str) -> Readout | None:
    from openai import OpenAIError

    try:
        return asyncio.run(story.tell(key))
    except OpenAIError as error:
        raise ArenaError(f"The provider did not answer as the story needs it: {error}") from error


class _Story:
    """One telling."""

    def __init__(
        self,
        folder: Path,
        console: Console,
        provider: RealProvider,
        simulated: bool,
        daily: int,
        weeks: int,
    ) -> None:
        self._console = console
        self._provider = provider
        self._simulated = simulated
        self._daily = daily
        self._files = write_project(
            folder,
            base_url=provider.base_url,
            key_env=provider.key_env,
            model=provider.model,
            judge=provider.judge or provider.model,
        )
        self._project = load_project(folder)
        self._clock = SimulatedClock(_SUNDAY)
        # A day of canary, whole weeks of A/B test, and a day in which the last windows close.
        self._days = 1 + 7 * weeks + 1
        self._customers = customers(daily * self._days, _SUNDAY, self._days, SEED)

    async def tell(self, key: str) -> Readout | None:
        """All of it."""
        from openai import AsyncOpenAI

        self._console.print(_opening(self._provider, self._simulated, len(self._customers)), highlight=False)
        definition = self._files.definition
        chapter(
            self._console,
            "1. How much data would it take?",
            f"arena plan {definition} --daily-units {self._daily}",
        )
        print_text(plan(request_from_definition(definition, daily_units=self._daily)), self._console)
        with open_registry(registry_of(self._project)) as registry:
            lifecycle = Lifecycle(registry, self._clock, "the demonstration")
            lifecycle.start(definition, reason="the plan is affordable")
            experiment = load_experiment(definition)
            if not await asyncio.to_thread(self._gate, key, experiment, lifecycle):
                return None
            async with AsyncOpenAI(
                base_url=self._provider.base_url, api_key=key, max_retries=RETRIES
            ) as client:
                readout = await self._traffic(client, registry, lifecycle)
            self._decide(readout, lifecycle)
        self._close(readout, experiment)
        return readout

    def _gate(self, key: str, experiment: Experiment, lifecycle: Lifecycle) -> bool:
        """Golden questions, judged in both orders: whether the experiment may go on."""
        definition = self._files.definition
        chapter(self._console, "2. May it meet users at all? (the offline gate)", f"arena duel {definition}")
        with (
            progress(self._console, "Both prompts answer, a judge compares", None) as bar,
            live_setup(
                definition,
                environment={self._provider.key_env: key},
                watch=bar,
                clock=self._clock,
                interruptible=False,
            ) as live,
        ):
            duel = settle_duel(
                offline_duel(experiment), definition.parent, live=live, experiment=experiment.name
            ).readout
        print_text(duel, self._console)
        write_whole(to_json(duel), self._files.gate)
        if duel.gate is None or duel.gate.status != "pass":
            lifecycle.stop(EXPERIMENT, reason="the gate does not pass")
            self._console.print(
                "\nThe gate does not pass, so no user meets it. That is the end of this story."
            )
            return False
        lifecycle.ramp(EXPERIMENT, evidence=read_evidence(self._files.gate), reason="the gate passes")
        return True

    async def _traffic(self, client: AsyncOpenAI, registry: Registry, lifecycle: Lifecycle) -> Readout:
        """Customers day by day: one of canary, then weeks of A/B test with a look after each."""
        chapter(
            self._console,
            "3. What do users say? (a day of canary, then the A/B test, over HTTP)",
            f"arena ramp {EXPERIMENT}; arena readout {EXPERIMENT} --html {self._files.page}",
        )
        log = LogReader(log_folder(self._project))
        arena = AsyncArena.local(self._files.root, clock=self._clock, price=_price, poll_s=0)
        readout = None
        with progress(self._console, "Customers", len(self._customers)) as bar:
            async with arena:
                floor = ShopFloor(arena, client, self._clock, bar.advance)
                for day, arrivals in enumerate(self._by_day()):
                    if day == 1:
                        bar.print(f"Canary: {canary_line(log)}")
                        lifecycle.ramp(EXPERIMENT, reason="a day of canary, nothing broke")
                        await arena.refresh()
                    bar.says(f"{_SUNDAY + day * _DAY:%a %d %b} ({'canary' if day == 0 else 'A/B test'})")
                    await floor.serve(arrivals)
                    self._clock.advance_to(_SUNDAY + (day + 1) * _DAY)
                    if day > 1 and day % 7 == 1:
                        readout = await self._look(bar, registry, log, week=day // 7)
                        if readout.verdict.status is not Status.CONTINUE:
                            break
        assert readout is not None
        return readout

    async def _look(self, bar: Bar, registry: Registry, log: LogReader, week: int) -> Readout:
        self._clock.advance_to(self._clock.now() + _MATURED)
        bar.says(f"week {week}: a look")
        readout = await asyncio.to_thread(read_and_record, registry, log, EXPERIMENT, self._clock.now())
        bar.print(look_line(readout, week))
        return readout

    def _by_day(self) -> Sequence[list[Customer]]:
        days: list[list[Customer]] = [[] for _ in range(self._days)]
        for customer in self._customers:
            days[(customer.arrives - _SUNDAY) // _DAY].append(customer)
        return days

    def _decide(self, readout: Readout, lifecycle: Lifecycle) -> None:
        """Act on the verdict, as a person would who believes it."""
        if self._simulated:
            readout = replace(readout, declared=(_MADE_UP, *readout.declared))
        print_text(readout, self._console)
        write_html(readout, self._files.page)
        write_whole(to_json(readout), self._files.readout)
        evidence, status = read_evidence(self._files.readout), readout.verdict.status
        reason = readout.verdict.reasons[0]
        chapter(self._console, "4. So what happens now?", f"arena history {EXPERIMENT}")
        if status is Status.SHIP:
            done = lifecycle.ship(EXPERIMENT, reason=reason, evidence=evidence)
            assert done.baseline is not None
            says = f"Shipped: the treatment is version {done.baseline.version} of `{FEATURE}` for everybody."
        elif status is Status.HARMFUL:
            lifecycle.rollback(EXPERIMENT, reason=reason, evidence=evidence)
            says = "Rolled back: everybody gets the control."
        else:
            lifecycle.stop(EXPERIMENT, reason=reason)
            says = "Stopped: everybody keeps the baseline."
        self._console.print(says, highlight=False)

    def _close(self, readout: Readout, experiment: Experiment) -> None:
        if self._simulated:
            self._console.print()
            self._console.rule("[bold]The truth, which only a simulation knows[/bold]", align="left")
            self._console.print(_truth(readout, experiment, self._customers), highlight=False)
        root, page = self._files.root, self._files.page
        self._console.print(f"\nThe readout as a page, with charts: [bold]{page}[/bold]", highlight=False)
        self._console.print(
            f"The project, its log and its registry are in {root}; in there, try `arena status`, "
            f"`arena history {EXPERIMENT}` and `arena events list`.",
            highlight=False,
        )


def _opening(provider: RealProvider, simulated: bool, conversations: int) -> str:
    title = "[bold]A support bot gets a new prompt: name the policy. Should it receive traffic?[/bold]"
    told = (
        f"The provider is simulated too: a program at {provider.base_url} that speaks OpenAI's protocol and "
        "draws its answers by a seed, better ones where the prompt has the policy named."
        if simulated
        else f"The answers are those of {provider.model} at {provider.base_url}."
    )
    return (
        f"{title}\n\nSimulated: the shop, its policies, up to {conversations:,} customers (who come when, "
        f"are content or not, and rate, by a seed) and the calendar, weeks in less than a minute. {told} "
        "Costs are reckoned at $0.15 and $0.60 a million tokens.\n"
        "Real: every request over HTTP, assignments, the event log, the registry, and all statistics. The "
        "analysis is told nothing but what the log holds."
    )


def _price(facts: ResponseFacts) -> float | None:
    if facts.input_tokens is None or facts.output_tokens is None:
        return None
    return facts.input_tokens * _INPUT_USD + facts.output_tokens * _OUTPUT_USD


def _truth(readout: Readout, experiment: Experiment, who: Sequence[Customer]) -> str:
    """The effect, had all of these customers met both prompts, and whether the interval holds it."""
    shares = [sum(resolved_under(variant.settings, who, SEED)) / len(who) for variant in experiment.variants]
    control, treatment = shares
    effect = treatment - control
    told = (
        f"Had every one of the {len(who):,} customers met both prompts, {control:.1%} would have been helped "
        f"by the old one and {treatment:.1%} by the new one: {effect * 100:+.1f} points."
    )
    interval = readout.metrics[readout.primary].comparisons["treatment"].interval
    if interval is None or None in interval:
        return told
    low, high = (limit or 0.0 for limit in interval)
    word = "holds" if low <= effect <= high else "misses"
    return f"{told} The interval, from {low * 100:+.1f} to {high * 100:+.1f} points, {word} it."
