"""Every mistake of a definition is told with its place, what was found, what is accepted, and the nearest."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptarena.definitions.experiment import load_experiment
from promptarena.definitions.project import load_project
from promptarena.errors import DefinitionError, Problem

SECRET = "sk-proj-0123456789abcdefghijklmn"


def problems_of(file: Path) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        load_experiment(file)
    return caught.value.problems


def place(problem: Problem) -> tuple[int | None, int | None, str | None]:
    assert problem.where is not None
    return problem.where.line, problem.where.column, problem.where.field


# what is written, what is written instead, line, the text that the column points at, field, words of the message
EXPERIMENT_MISTAKES = [
    ("experiment: support", "experimnt: support", 2, "experimnt", "experimnt", "Did you mean `experiment`?"),
    ("experiment: support-", "experiment: support ", 2, "support ", "experiment", "A name has letters"),
    ("feature: support-bot", "feature: suport-bot", 3, "suport", "feature", "Did you mean `support-bot`?"),
    ("feature: support-bot", "feature:", 3, "feature", "feature", "Expected text; found nothing."),
    ("feature: support-bot\n", "\n", 2, None, "feature", "`feature` is missing."),
    ("unit: conversation", "unit: converstion", 5, "converstion", "unit", "Did you mean 'conversation'?"),
    ("unit: conversation", "unit: [user]", 5, "[user]", "unit", "Expected text; found a list."),
    ("  control: {}", "  contol: {}", 6, "variants", "variants", "Is `contol` meant to be it?"),
    ("  control: {}", "  baseline: {}", 6, "variants", "variants", "Add `control: {}`"),
    ("  treatment: {", "  # treatment: {", 6, "variants", "variants", "no treatment"),
    ("{system: file", "{sytem: file", 8, "sytem", "variants.treatment.sytem", "Did you mean `system`?"),
    ("{system: file", "{model: , system: file", 8, "model", "variants.treatment.model", "without a model"),
    ("{system: file", "{provider: opnai, system: file", 8, "opnai", "variants.treatment.provider", "`openai`"),
    ("{system: file", "{temperature: hot, system: file", 8, "hot", "variants.treatment.temperature", "a number"),
    ("{system: file", "{top_p: 2, system: file", 8, "2,", "variants.treatment.top_p", "at most 1; found 2"),
    ("{system: file", "{max_tokens: 1.5, system: file", 8, "1.5", "variants.treatment.max_tokens", "whole"),
    ("{system: file", "{weight: 20%, system: file", 8, "20%", "variants.treatment.weight", "`control` says none"),
    ("{system: file", "{weight: 0, system: file", 8, "0,", "variants.treatment.weight", "more than 0"),
    ("{system: file", f"{{params: {{key: {SECRET}}}, system: file", 8, SECRET, "variants.treatment.params.key", "secret"),
    ("cite_policy.md", "cite_polcy.md", 8, "file://", "variants.treatment.system", "Did you mean `cite_policy.md`?"),
    ("file://prompts/", "file://../../", 8, "file://", "variants.treatment.system", "outside the project"),
    ("file://prompts/cite_policy.md", "file:///etc/passwd", 8, "file:", "variants.treatment.system", "outside"),
    ("prompts/cite_policy.md", "prompts", 8, "file:", "variants.treatment.system", "is a folder"),
    ("file://prompts/cite_policy.md", "file://", 8, "file:", "variants.treatment.system", "name is empty"),
    ("{rate: resolved,", "{rat: resolved,", 10, "rat:", "metrics.resolution.rat", "Did you mean `rate`?"),
    ("{rate: resolved,", "{", 10, "{", "metrics.resolution", "one of `rate`, `count`, `sum`, `mean`, `ratio`"),
    ("{rate: resolved,", "{rate: a, sum: b,", 10, "b,", "metrics.resolution.sum", "one thing; found `rate`, `sum`"),
    ("window: 24h", "window: 24", 10, "24,", "metrics.resolution.window", "24 is not a duration"),
    ("window: 24h", "window: 0h", 10, "0h", "metrics.resolution.window", "no length"),
    ("better: higher}\n  csat", "better: hihger}\n  csat", 10, "hihger", "metrics.resolution.better", "`higher`?"),
    ("covariate: rating_before", "covariate: rating", 11, "rating}", "metrics.csat.covariate", "its own covariate"),
    ("over: resolved}", "ovr: resolved}", 12, "ovr", "metrics.cost_per_resolved.ratio.ovr", "`over`?"),
    ("over: resolved}", "over: cost_usd}", 12, "cost_usd}, better", "metrics.cost_per_resolved.ratio.over", "always 1"),
    ("{ratio: {", "{absent: missing, ratio: {", 12, "missing", "metrics.cost_per_resolved.absent", "`zero`"),
    ("primary: resolution", "primary: resolutoin", 13, "resolutoin", "primary", "Did you mean `resolution`?"),
    ("primary: resolution", "primary: {metric: resolution, margin: 2%}", 13, "2%", "primary.margin", "superiority"),
    ("primary: resolution", "primary: {metric: resolution, test: non-inferiority}", 13, "{", "primary", "`margin`"),
    ("primary: resolution", "primary: {metric: resolution, test: tow-sided}", 13, "tow", "primary.test", "accepted"),
    ("metric: latency_p95, margin: 300", "metric: latency_95", 15, "latency_95", "guardrails[0].metric", "p95`?"),
    ("margin: 300", "margin: -5%", 15, "-5%", "guardrails[0].margin", "zero or more"),
    ("margin: 300", "margin: 300ms", 15, "300ms", "guardrails[0].margin", "write 300 (in the metric's unit) or"),
    ("latency_p95, margin: 300", "resolution, margin: 3%", 15, "resolution", "guardrails[0].metric", "one role"),
    ("secondary: [csat]", "secondary: [cast]", 17, "cast", "secondary[0]", "Did you mean `csat`?"),
    ("secondary: [csat]", "secondary: [csat, csat]", 17, "csat]", "secondary[1]", "named twice"),
    ("secondary: [csat]", "secondary: csat", 17, "csat", "secondary", "Expected a list; found 'csat'."),
    ("expected: 0.60", "expected: 60", 18, "60", "design.expected", "between 0 and 1, not 60"),
    ("expected: 0.60", "expected: 60%", 18, "60%", "design.expected", "Expected a number; found '60%'."),
    ("expected: 0.60, mde: 0.05", "mde: 5%", 18, "5%", "design.mde", "relative to `expected`"),
    ("mde: 0.05", "mde: 5", 18, "5,", "design.mde", "Write 0.05 for points of the rate"),
    ("mde: 0.05", "mde: 0.5", 18, "0.5,", "design.mde", "would bring a rate to 1.1"),
    ("mde: 0.05", "mde: 0", 18, "0,", "design.mde", "positive"),
    ("power: 0.8", "power: 80", 18, "80", "design.power", "less than 1; found 80"),
    ("alpha: 0.05", "alpha: true", 18, "true", "design.alpha", "Expected a number; found true."),
    ("looks: [0.25, 0.5, 0.75, 1]", "looks: [0.5, 0.25, 1]", 18, "[0.5", "design.looks", "increasing"),
    ("looks: [0.25, 0.5, 0.75, 1]", "looks: [0.5]", 18, "[0.5]", "design.looks", "end in 1"),
    ("obrien-fleming", "obrien-flemming", 18, "obrien", "design.spending", "Did you mean `obrien-fleming`?"),
    ("spending: obrien-fleming", "critical_z: [3, 2]", 18, "[3", "design.critical_z", "found 2 for 4"),
    ("min_days", "critical_z: [4, 3, 2, 2], min_days", 18, "[4", "design.critical_z", "say one of the two"),
    ("min_days: 7", "gamma: -2", 18, "-2", "design.gamma", "hwang-shih-decani"),
    ("[device, tier]", "[device, device]", 19, "device]", "segments[1]", "named twice"),
    ("[device, tier]", "[device, {name: tier, margin: 2}]", 19, "2}", "segments[1].margin", "0 to 1"),
    ("golden/support.jsonl", "golden/suport.jsonl", 21, "golden", "rollout[0].dataset", "`support.jsonl`?"),
    ("judges/support.yaml", "/etc/hosts", 21, "/etc", "rollout[0].judge", "outside the project"),
    ("above: 0.5", "above: 150%", 21, "150%", "rollout[0].gate.win_rate.above", "between 0% and 100%"),
    ("{win_rate: {above: 0.5}, axes", "{axis", 21, "axis", "rollout[0].gate.axis", "Did you mean `axes`?"),
    ("{win_rate: {above: 0.5}, axes: {accuracy: {margin: 0.1}}}", "{}", 21, "{}}", "rollout[0].gate", "`win_rate`"),
    ("  - {stage: shadow, traffic: 10%}\n", "", 20, "rollout", "rollout", '{stage: shadow, skip: "the reason"}'),
    ("shadow, traffic: 10%", "shadw, traffic: 10%", 22, "shadw", "rollout[1].stage", "Did you mean `shadow`?"),
    ("{stage: shadow, traffic", "{stag: shadow, traffic", 22, "{", "rollout[1].stage", "`stage` is missing."),
    ("shadow, traffic: 10%", "shadow, skip: ''", 22, "''", "rollout[1].skip", "says why"),
    ("shadow, traffic: 10%", "shadow, skip: why, traffic: 1%", 22, "traffic", "rollout[1].traffic", "Unknown field"),
    ("stage: shadow", "stage: ab #", 23, "-", None, "not YAML"),
    ("shadow, traffic: 10%", "shadow, skip: 5", 22, "5", "rollout[1].skip", "in words"),
    ("shadow, traffic: 10%", "shadow, traffic: 0%", 22, "0%", "rollout[1].traffic", "more than 0"),
    ("for: 1d", "for: 1y", 23, "1y", "rollout[2].for", "such as 30s, 5m, 24h, 7d"),
    ("ab, traffic: 100%", "ab, traffic: 5%", 24, "5%", "rollout[3].traffic", "10% in the canary and 5% after"),
    ("stage: ab", "stage: canary", 24, "{", "rollout[3]", "written twice"),
    ("error_rate", "eror_rate", 26, "eror_rate", "monitors[0].metric", "Did you mean `error_rate`?"),
    ("max: 0.001, ", "", 26, "{", "monitors[0]", "`max`, `min` or both"),
    ("max: 0.001", "max: 1%", 26, "1%", "monitors[0].max", "a number in the metric's unit"),
    ("action: rollback", "action: rolback", 26, "rolback", "monitors[0].action", "Did you mean `rollback`?"),
    ("window: 5m, consecutive: 2, action: rollback", "action: pause", 26, "{", "monitors[0].window", "is missing"),
    ("of: stable_period", "of: last_week", 27, "last_week", "monitors[1].max.of", "`stable_period`, `control`"),
    (", plus: 20%}", "}", 27, "{of", "monitors[1].max", "`of` goes with `plus`"),
    ("consecutive: 2, action: pause", "consecutive: 0, action: pause", 27, "0,", "monitors[1].consecutive", "1; found 0"),
    ("unit: conversation\n", "unit: conversation\nunit: user\n", 6, "unit", "unit", "the first is on line 5"),
    ("unit: conversation\n", "unit: conversation\neligibility: {tier: {not: {}}}\n", 6, "{}", "eligibility.tier.not", "a list"),
    ("unit: conversation\n", "unit: conversation\neligibility: {tier: []}\n", 6, "[]", "eligibility.tier", "number"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "pointed", "field", "words"), EXPERIMENT_MISTAKES)
def test_a_mistake_of_an_experiment_is_one_problem_with_its_place(
    experiment_file: Path, old: str, new: str, line: int, pointed: str | None, field: str | None, words: str
) -> None:
    example = experiment_file.read_text(encoding="utf-8")
    assert example.count(old) >= 1
    broken = example.replace(old, new, 1)
    experiment_file.write_text(broken, encoding="utf-8")
    problems = problems_of(experiment_file)
    assert len(problems) == 1, "\n".join(map(str, problems))
    (problem,) = problems
    assert words in str(problem)
    assert SECRET not in str(problem)
    assert place(problem)[0] == line, problem
    assert place(problem)[2] == field
    if pointed is not None:
        column = place(problem)[1]
        assert column is not None
        assert broken.splitlines()[line - 1][column - 1 :].startswith(pointed), problem


def test_an_experiment_of_ten_mistakes_reports_exactly_ten(experiment_file: Path) -> None:
    example = experiment_file.read_text(encoding="utf-8")
    for old, new in (
        ("feature: support-bot", "feature: supportbot"),
        ("hypothesis:", "hypotesis:"),
        ("unit: conversation", "unit: conversaton"),
        ("cite_policy.md", "absent.md"),
        ("{mean: rating, better: higher,", "{mean: rating, better: up,"),
        ("metric: latency_p95, margin: 300", "metric: latency_p96, margin: 300"),
        ("secondary: [csat]", "secondary: [resolution]"),
        ("looks: [0.25, 0.5, 0.75, 1]", "looks: [0.5, 0.2]"),
        ("  - {stage: canary, traffic: 10%, for: 1d}", "  - {stage: canary, trafic: 10%, for: 1d}"),
        ("action: pause", "action: stop"),
    ):
        assert old in example
        example = example.replace(old, new)
    experiment_file.write_text(example, encoding="utf-8")
    problems = problems_of(experiment_file)
    fields = [place(problem)[2] for problem in problems]
    assert fields == [
        "feature",
        "hypotesis",
        "unit",
        "variants.treatment.system",
        "metrics.csat.better",
        "guardrails[0].metric",
        "secondary[0]",
        "design.looks",
        "rollout[2].trafic",
        "monitors[1].action",
    ]
    assert [place(problem)[0] for problem in problems] == [3, 4, 5, 8, 11, 15, 17, 18, 23, 27]


def test_several_mistakes_in_one_variant_map_are_all_told(experiment_file: Path) -> None:
    example = experiment_file.read_text(encoding="utf-8")
    two = "  control: {weight: 30%}\n  other: {weight: 30%, temperature: -1}\n  treatment: {weight: 30%, "
    experiment_file.write_text(
        example.replace("  control: {}", "").replace("  treatment: {", two), encoding="utf-8"
    )
    # The sum of the weights is not judged while one variant is wrong.
    assert [place(problem)[2] for problem in problems_of(experiment_file)] == ["variants.other.temperature"]
    experiment_file.write_text(
        example.replace("  control: {}", "").replace("  treatment: {", two.replace("-1", "1")),
        encoding="utf-8",
    )
    (problem,) = problems_of(experiment_file)
    assert "The weights sum to 90%" in problem.message


def test_metrics_listed_by_name_are_looked_up(experiment_file: Path) -> None:
    text = "{experiment: e, feature: support-bot, unit: request, variants: {control: , b: {top_p: 0.5}},\n"
    text += "primary: turns, metrics: [ratin, rating]}"
    experiment_file.write_text(text, encoding="utf-8")
    turns, unknown = problems_of(experiment_file)
    assert "`turns` counts requests a unit, which is 1 with `unit: request`" in str(turns)
    assert "Did you mean `rating`?" in str(unknown)
    assert place(unknown) == (2, 27, "metrics[0]")


PROJECT_MISTAKES = [
    ("providers: {", "provider: {", 2, "Did you mean `providers`?"),
    ("base_url: https://api.example/v1", "base_url: api.example", 2, "https://api.example/v1"),
    ("base_url: https://api.example/v1", "base_url: https://me:pw@api.example", 2, "no user, password"),
    ("base_url: https://api.example/v1", "base_url: 'https://[api'", 2, "an address such as"),
    ("OPENAI_API_KEY", SECRET, 2, "never write a key itself"),
    ("OPENAI_API_KEY", "AKIAABCDEFGHIJKLMNOP", 2, "never write a key itself"),
    ("provider: openai", "provider: openia", 4, "Did you mean `openai`?"),
    ("provider: openai, ", "", 4, "`provider` is missing."),
    ("Be helpful.", "file://absent.md", 4, "There is no file 'absent.md'"),
    ("Be helpful.", f"Use {SECRET} for tools.", 4, "looks like a secret"),
    ("temperature: 0.3", "temprature: 0.3", 4, "Did you mean `temperature`?"),
    ("redact: [email, phone, card]", "redact: [email, fone]", 5, "Did you mean `phone`?"),
    ("sample: 10%", "sample: 110%", 5, "between 0% and 100%"),
    ("content:", "hosts: [https://x.example]\ncontent:", 5, "without scheme"),
    ("content:", "hooks: [os.system]\ncontent:", 5, "support_checks:is_polite"),
    ("support-bot: {", "support bot: {", 4, "A name has letters"),
]


@pytest.mark.parametrize(("old", "new", "line", "words"), PROJECT_MISTAKES)
def test_a_mistake_of_a_project_is_one_problem_with_its_line(
    project_folder: Path, old: str, new: str, line: int, words: str
) -> None:
    file = project_folder / "arena.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_project(project_folder)
    assert len(caught.value.problems) == 1, str(caught.value)
    (problem,) = caught.value.problems
    assert words in str(problem)
    assert SECRET not in str(problem)
    assert "AKIA" not in str(problem)
    assert place(problem)[0] == line


def test_mistakes_of_arena_yaml_and_metrics_yaml_are_told_together(project_folder: Path) -> None:
    (project_folder / "arena.yaml").write_text("features: {}\nprovider: {}\n", encoding="utf-8")
    (project_folder / "metrics.yaml").write_text(
        "metrics: {a: {rte: x}, b: {mean: y, q: 1}}\n", encoding="utf-8"
    )
    with pytest.raises(DefinitionError) as caught:
        load_project(project_folder)
    told = [str(problem).removeprefix(f"{project_folder}/") for problem in caught.value.problems]
    assert [line.split(": ")[0] for line in told] == [
        "arena.yaml:1:11 (features)",
        "arena.yaml:2:1 (provider)",
        "metrics.yaml:1:15 (metrics.a.rte)",
        "metrics.yaml:1:37 (metrics.b.q)",
    ]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"   \n"])
def test_a_prompt_file_that_holds_no_text_is_a_mistake_where_it_is_named(
    experiment_file: Path, content: bytes
) -> None:
    (experiment_file.parent / "prompts/cite_policy.md").write_bytes(content)
    (problem,) = problems_of(experiment_file)
    assert place(problem) == (8, 23, "variants.treatment.system")
    assert "is empty" in problem.message or "is not UTF-8 (line 1)" in problem.message


def test_a_link_does_not_lead_out_of_the_project(
    experiment_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_text("do not read", encoding="utf-8")
    prompt = experiment_file.parent / "prompts/cite_policy.md"
    prompt.unlink()
    prompt.symlink_to(secret)
    (problem,) = problems_of(experiment_file)
    assert "outside the project" in problem.message
