from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from promptarena.definitions.analysis_plan import Guardrail, Primary, SegmentRule, Test
from promptarena.definitions.experiment import Experiment, load_experiment
from promptarena.definitions.metric import Absence, Better, Metric, MetricKind
from promptarena.definitions.project import load_project
from promptarena.definitions.quantities import Margin
from promptarena.definitions.rollout_plan import CanaryStage, OfflineStage, SkippedStage
from promptarena.errors import DefinitionError


@pytest.fixture
def load(experiment_file: Path) -> Callable[..., Experiment]:
    """Load the example after replacing texts in it."""
    example = experiment_file.read_text(encoding="utf-8")

    def load(*changes: tuple[str, str]) -> Experiment:
        text = example
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        experiment_file.write_text(text, encoding="utf-8")
        return load_experiment(experiment_file)

    return load


def test_the_documented_example_loads_word_for_word(experiment_file: Path) -> None:
    experiment = load_experiment(experiment_file)
    assert (experiment.name, experiment.feature) == ("support-cites-policy", "support-bot")
    control, treatment = experiment.variants
    assert (control.name, control.weight, treatment.name, treatment.weight) == (
        "control",
        0.5,
        "treatment",
        0.5,
    )
    assert control.settings.system == "Be helpful."
    assert treatment.settings.system == "Cite the policy.\n"
    assert treatment.settings.temperature == control.settings.temperature == 0.3
    assert treatment.settings.model == "gpt-4o-mini"
    assert control.settings.config_hash != treatment.settings.config_hash
    assert experiment.rollout is not None
    offline, _, canary, _ = experiment.rollout
    assert isinstance(offline, OfflineStage)
    assert Path(offline.dataset.file) == (experiment_file.parent / "golden/support.jsonl").resolve()
    assert isinstance(canary, CanaryStage)
    assert (canary.traffic, canary.lasts) == (0.1, timedelta(days=1))
    assert [metric.name for metric in experiment.monitored] == ["error_rate", "latency_p95"]
    assert experiment.notes == ()


def test_its_analysis_plan_says_everything_and_is_preregistered(experiment_file: Path) -> None:
    plan = load_experiment(experiment_file).analysis_plan()
    day = timedelta(days=1)
    assert plan.preregistered
    assert plan.control == "control"
    assert plan.weights == {"control": 0.5, "treatment": 0.5}
    assert plan.primary == Primary(metric="resolution")
    assert plan.guardrails == (
        Guardrail(metric="latency_p95", margin=Margin(value=300)),
        Guardrail(metric="cost_per_resolved", margin=Margin(value=0.1, relative=True)),
    )
    assert plan.secondary == ("csat",)
    assert plan.segments == (SegmentRule(name="device"), SegmentRule(name="tier"))
    assert list(plan.design.looks) == [0.25, 0.5, 0.75, 1]
    assert [each.name for each in plan.metric("csat").covariates] == ["rating_before"]
    assert plan.metric("resolution") == Metric(
        name="resolution",
        kind=MetricKind.RATE,
        of="resolved",
        absent=Absence.ZERO,
        window=day,
        source="measurement",
    )
    assert plan.metric("cost_per_resolved") == Metric(
        name="cost_per_resolved",
        kind=MetricKind.RATIO,
        of="cost_usd",
        over="resolved",
        better=Better.LOWER,
        absent=Absence.ZERO,
        window=day,
        source="generation",
        over_source="measurement",
    )
    assert plan.metric("latency_p95") == Metric(
        name="latency_p95",
        kind=MetricKind.QUANTILE,
        of="latency_ms",
        q=0.95,
        better=Better.LOWER,
        absent=Absence.MISSING,
        window=day,
        unit="ms",
        source="generation",
    )


def test_files_named_from_the_top_of_the_project_are_found_too(experiment_file: Path) -> None:
    beside = experiment_file.parent
    for folder in ("prompts", "golden", "judges"):
        (beside / folder).rename(beside.parent / folder)
    assert load_experiment(experiment_file).variants[1].settings.system == "Cite the policy.\n"


def test_a_project_may_be_given_instead_of_found(
    experiment_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = load_project(experiment_file.parent.parent)
    assert load_experiment(experiment_file, project) == load_experiment(experiment_file)
    alone = tmp_path_factory.mktemp("alone") / "experiment.yaml"
    alone.write_text(experiment_file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"no arena\.yaml in this folder or above it.*`arena init`"):
        load_experiment(alone)


def test_weights_are_equal_unless_every_variant_says_its_own(load: Callable[..., Experiment]) -> None:
    third = ("  treatment:", "  another: {temperature: 1}\n  treatment:")
    assert load(third).weights == {name: pytest.approx(1 / 3) for name in ("control", "another", "treatment")}
    uneven = load(("control: {}", "control: {weight: 80%}"), ("{system:", "{weight: 0.2, system:"))
    assert uneven.weights == {"control": 0.8, "treatment": 0.2}


def test_variants_stand_in_an_order_that_the_file_does_not_decide(load: Callable[..., Experiment]) -> None:
    experiment = load(("  control: {}", "  zebra: {temperature: 1}\n  ape: {temperature: 0}\n  control: {}"))
    assert [variant.name for variant in experiment.variants] == ["control", "ape", "treatment", "zebra"]


def test_a_variant_inherits_key_by_key_and_null_takes_away(
    project_folder: Path, load: Callable[..., Experiment]
) -> None:
    arena = project_folder / "arena.yaml"
    text = arena.read_text(encoding="utf-8")
    arena.write_text(
        text.replace("temperature: 0.3", "temperature: 0.3, params: {a: 1, b: 2}"), encoding="utf-8"
    )
    treatment = load(
        ("{system:", "{temperature: null, params: {b: 3, c: file://prompts/cite_policy.md}, system:")
    )
    settings = treatment.variants[1].settings
    assert settings.temperature is None
    assert settings.params == {"a": 1, "b": 3, "c": "Cite the policy.\n"}


def test_a_control_with_nothing_after_it_is_the_baseline(load: Callable[..., Experiment]) -> None:
    assert load(("control: {}  ", "control:   ")).variants[0].settings.system == "Be helpful."


def test_metrics_may_be_names_of_shared_and_built_in_ones(
    project_folder: Path, load: Callable[..., Experiment]
) -> None:
    shared = "{resolution: {rate: solved}, csat: {mean: stars}, cost_per_resolved: {sum: cost_usd}}"
    (project_folder / "metrics.yaml").write_text(f"metrics: {shared}", encoding="utf-8")
    text = (project_folder / "experiments/support-cites-policy.yaml").read_text(encoding="utf-8")
    block = text[text.index("metrics:") : text.index("primary:")]
    experiment = load((block, "metrics: [resolution, csat, turns]\n"))
    assert [metric.name for metric in experiment.metrics] == [
        *("resolution", "csat", "turns", "latency_p95", "cost_per_resolved")
    ]
    resolution, csat, turns, _, cost = experiment.metrics
    assert (resolution.of, csat.of, cost.kind) == ("solved", "stars", MetricKind.SUM)
    assert cost.better is Better.LOWER  # cost_usd carries its direction
    assert turns.window == timedelta(days=1)
    assert experiment.notes == ()


def test_the_nearest_definition_of_a_metric_counts_and_is_noted(
    project_folder: Path, load: Callable[..., Experiment]
) -> None:
    (project_folder / "metrics.yaml").write_text("metrics: {csat: {mean: stars}}\n", encoding="utf-8")
    experiment = load(("primary:", "  turns: {count: messages}\nprimary:"))
    assert {metric.name: metric.of for metric in experiment.metrics}["csat"] == "rating"
    assert {metric.name: metric.of for metric in experiment.metrics}["turns"] == "messages"
    assert [note.split("`")[1] for note in experiment.notes] == ["csat", "turns"]


def test_windows_are_a_day_for_conversations_and_a_week_for_users(load: Callable[..., Experiment]) -> None:
    users = load(("unit: conversation", "unit: user"), ("window: 24h, ", ""))
    assert {metric.window for metric in users.metrics} == {timedelta(days=7)}
    accounts = load(("unit: conversation", "unit: account"), ("window: 24h, ", ""))
    assert {metric.window for metric in accounts.metrics} == {timedelta(days=7)}
    sessions = load(("unit: conversation", "unit: session"), ("window: 24h, ", ""))
    assert {metric.window for metric in sessions.metrics} == {timedelta(days=1)}


def test_a_stage_left_out_keeps_its_reason(load: Callable[..., Experiment]) -> None:
    experiment = load(("{stage: shadow, traffic: 10%}", "{stage: shadow, skip: no tools are called}"))
    assert experiment.rollout is not None
    assert experiment.rollout[1] == SkippedStage(stage="shadow", skip="no tools are called")


def test_non_inferiority_and_eligibility_are_read(load: Callable[..., Experiment]) -> None:
    experiment = load(
        ("primary: resolution", "primary: {metric: resolution, test: non-inferiority, margin: 2%}"),
        ("unit:", "eligibility: {tier: [free, plus], country: DE, cohort: {not: internal}}\nunit:"),
    )
    assert experiment.primary.test is Test.NON_INFERIORITY
    assert experiment.primary.margin == Margin(value=0.02, relative=True)
    assert experiment.eligibility["tier"].one_of == ("free", "plus")
    assert experiment.eligibility["country"].one_of == ("DE",)
    assert experiment.eligibility["cohort"].none_of == ("internal",)


def test_equal_variants_are_noted_as_an_a_a_test(load: Callable[..., Experiment]) -> None:
    experiment = load(("{system: file://prompts/cite_policy.md}", "{}"))
    assert experiment.notes == ("`treatment` has the same settings as the control: an A/A test.",)


def test_a_loaded_experiment_cannot_be_changed(load: Callable[..., Experiment]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().unit = "user"


def test_an_experiment_needs_little(experiment_file: Path) -> None:
    experiment_file.write_text(
        "{experiment: e, feature: support-bot, unit: user, "
        "variants: {control: , b: {top_p: 0.5}}, primary: rating}",
        encoding="utf-8",
    )
    experiment = load_experiment(experiment_file)
    assert experiment.rollout is None
    assert experiment.analysis_plan().metric("rating").kind is MetricKind.MEAN
