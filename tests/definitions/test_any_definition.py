"""Whatever stands in a definition, it loads or says what is wrong with it; nothing else ever comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from promptarena.definitions.experiment import load_experiment
from promptarena.errors import DefinitionError, Problem

JUNK: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        2.5,
        1e300,
        "",
        " ",
        "x",
        "10%",
        "-3%",
        "1d",
        "file://",
        "file://\0",
        "file://..",
    ),
    *([], [[]], [None], ["csat"], {}, {"x": {}}, {"skip": 1}, {"stage": []}, {"metric": "csat"}, {"": 1}),
    *(
        {"of": "control"},
        {"ratio": "x"},
        {"rate": "x"},
        "resolution",
        "control",
        "request",
        10**400,
        "9" * 20 + "d",
        "9" * 400 + "%",
    ),
]
junk = st.sampled_from(JUNK)


def paths(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = list(
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    )
    return [*([at] if at else []), *(path for part, item in inner for path in paths(item, (*at, part)))]


def changed(value: Any, path: tuple[str | int, ...], new: Any, how: str) -> Any:
    """A copy with the value at the path replaced, taken away or renamed."""
    first, rest = path[0], path[1:]
    if isinstance(value, list):
        items = [changed(item, rest, new, how) if rest else new for item in [value[int(first)]]]
        return [*value[: int(first)], *(items if rest or how == "replace" else []), *value[int(first) + 1 :]]
    copy = dict(value)
    if rest:
        copy[first] = changed(copy[first], rest, new, how)
    elif how == "replace":
        copy[first] = new
    else:
        old = copy.pop(first)
        if how == "rename":
            copy[f"{first}_"] = old
    return copy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_experiment_loads_or_tells_its_mistakes(experiment_file: Path, data: st.DataObject) -> None:
    whole: Any = YAML(typ="safe", pure=True).load(experiment_file.read_text(encoding="utf-8"))
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(paths(whole)))
        how = data.draw(st.sampled_from(["replace", "take away", "rename"]))
        whole = changed(whole, path, data.draw(junk), how)
        if not whole:
            return
    damaged = experiment_file.with_name("damaged.yaml")
    damaged.write_text(json.dumps(whole), encoding="utf-8")  # JSON is YAML
    problems: tuple[Problem, ...] = ()
    try:
        experiment = load_experiment(damaged)
    except DefinitionError as error:
        problems = error.problems
    else:
        assert len(experiment.content_hash) == 64
        assert experiment.analysis_plan().preregistered
    assert all(problem.message and problem.where and problem.where.line for problem in problems)
    assert len(set(problems)) == len(problems)
