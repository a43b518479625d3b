"""Cases of a dataset: what each column means, templates, chats, and everything that can be wrong with them."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from promptarena.definitions.dataset_source import DatasetSource
from promptarena.errors import DataError, DefinitionError
from promptarena.evaluation.cases import Case
from promptarena.evaluation.dataset import Dataset, load_dataset


def dataset(folder: Path, content: str | bytes, name: str = "d.jsonl", **declared: Any) -> Dataset:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return load_dataset(DatasetSource.model_validate({"file": name, **declared}), folder)


def case(folder: Path, record: dict[str, Any], **declared: Any) -> Case:
    [only] = dataset(folder, json.dumps({"id": 1, **record}), **declared).cases()
    return only


def problems(folder: Path, content: str | bytes, name: str = "d.jsonl", **declared: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        dataset(folder, content, name, **declared)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_every_declared_column_is_read_as_what_it_is(tmp_path: Path) -> None:
    found = case(
        tmp_path,
        {
            "q": "Where is it?",
            "docs": ["p1", {"text": "p2", "id": 7}],
            "a": 3,
            "t": "late, parcel",
            "tier": "free",
            "w": 2,
        },
        input="q",
        context="docs",
        reference="a",
        tags="t",
        segments=["tier"],
        weight="w",
    )
    assert (found.id, found.line, found.input, found.text) == ("1", 1, "Where is it?", "Where is it?")
    assert found.messages == ({"role": "user", "content": "Where is it?"},)
    assert (found.context, found.reference) == (("p1", "p2"), "3")
    assert (found.tags, found.segments, found.weight) == (("late", "parcel"), {"tier": "free"}, 2.0)
    assert found.variables["docs"] == ["p1", {"text": "p2", "id": 7}]


def test_a_case_that_says_nothing_counts_once_and_is_in_no_segment(tmp_path: Path) -> None:
    other = json.dumps({"id": 2, "tier": "x", "w": 3, "t": ["a"], "docs": "one", "e": "x"})
    first, second = dataset(
        tmp_path,
        f'{{"id": 1}}\n{other}',
        segments="tier",
        weight="w",
        tags="t",
        context="docs",
        reference="e",
    ).cases()
    assert (first.weight, first.segments, first.tags, first.context, first.reference) == (
        1.0,
        {},
        (),
        (),
        None,
    )
    assert (second.weight, second.tags, second.context, second.reference) == (3.0, ("a",), ("one",), "x")


def test_a_chat_is_taken_as_it_is_also_out_of_a_csv_cell(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    found = case(tmp_path, {"q": chat}, input="q")
    assert found.messages == tuple(chat)
    assert found.text == "system: Be kind.\n\nuser: Hi"
    cell = json.dumps(chat).replace('"', '""')
    [written] = dataset(tmp_path, f'id,q\n1,"{cell}"\n', "d.csv", input="q").cases()
    assert written.messages == tuple(chat)


@pytest.mark.parametrize("text", ["[sic] what?", "[1, 2]", '["a"]', "[{]"])
def test_a_text_that_begins_with_a_bracket_stays_a_text(tmp_path: Path, text: str) -> None:
    assert case(tmp_path, {"q": text}, input="q").input == text


def test_a_template_makes_the_input_of_several_variables(tmp_path: Path) -> None:
    found = case(tmp_path, {"q": "Hi {{ x }}", "tier": "gold"}, template="{{ q }} ({{ tier | upper }})")
    assert found.input == "Hi {{ x }} (GOLD)"  # braces in a value are data


def test_a_template_of_messages_makes_a_chat(tmp_path: Path) -> None:
    template = [{"role": "system", "content": "In {{ lang }}."}, {"role": "user", "content": "{{ q }}"}]
    found = case(tmp_path, {"q": "Hi", "lang": "French"}, template=template)
    assert found.messages == ({"role": "system", "content": "In French."}, {"role": "user", "content": "Hi"})


def test_a_template_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "ask.txt").write_text("Q: {{ q }}\n")
    assert case(tmp_path, {"q": "Hi"}, template="file://ask.txt").input == "Q: Hi"
    with pytest.raises(DefinitionError, match=r"none\.txt: The template cannot be read"):
        case(tmp_path, {"q": "Hi"}, template="file://none.txt")
    (tmp_path / "bad.txt").write_text("a\n{{ q }")
    with pytest.raises(DefinitionError, match="line 2 of the template"):
        case(tmp_path, {"q": "Hi"}, template="file://bad.txt")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ q }} {{ tier }}", "d.jsonl:2: The template needs `tier`, which this case has not."),
        ("{{ who.name }}", "d.jsonl:2: The template needs `name`, which this case has not."),
        ("{{ q | int / 0 }}", "d.jsonl:2: The template cannot be filled: ZeroDivisionError"),
        ("{{ who.__class__.__mro__ }}", "d.jsonl:2: The template cannot be filled"),
    ],
)
def test_a_case_that_a_template_cannot_be_filled_from_is_told_with_its_line(
    tmp_path: Path, template: str, said: str
) -> None:
    good = {"id": 1, "q": "a", "tier": "b", "who": {"name": "c"}}
    lacking = {"id": 2, "q": "a", "tier": None, "who": {}}
    found = problems(tmp_path, f"{json.dumps(good)}\n{json.dumps(lacking)}", template=template)
    assert found[-1].startswith(said)


def test_a_template_may_do_without_what_it_says_it_can_do_without(tmp_path: Path) -> None:
    template = '{{ tier | default("free") }}{% if q is defined %} {{ q }}{% endif %}'
    assert case(tmp_path, {"tier": None}, template=template).input == "free"


@pytest.mark.parametrize(
    ("record", "declared", "said"),
    [
        ({"q": [{"text": "no role"}]}, {"input": "q"}, "The input is a list, but not of chat messages."),
        ({"q": " "}, {"input": "q"}, "The case has no input."),
        ({"q": None}, {"input": "q"}, "The case has no input."),
        ({"w": "heavy"}, {"weight": "w"}, "A weight is a number of more than 0; found 'heavy'."),
        ({"w": 0}, {"weight": "w"}, "A weight is a number of more than 0; found '0'."),
        ({"w": True}, {"weight": "w"}, "A weight is a number of more than 0; found 'true'."),
        ({"w": [1]}, {"weight": "w"}, "A weight is a number of more than 0; found '[1]'."),
        ({"q": 1}, {"segments": ["tier"]}, "There is no column 'tier'"),
    ],
)
def test_what_is_wrong_with_a_case_is_told(
    tmp_path: Path, record: dict[str, Any], declared: dict[str, Any], said: str
) -> None:
    [found] = problems(tmp_path, json.dumps({"id": 1, **record}), **declared)
    assert said in found


def test_the_version_is_of_the_content_and_not_of_its_layout(tmp_path: Path) -> None:
    one = dataset(tmp_path, '{"id": 1, "q": "é, b"}\n{"id": 2, "q": "c", "n": 1.0, "e": null}\n')
    for name, content in [
        ("same.jsonl", '{"q":"c","id":"2","n":1,"e":""}\n\n{"id":"1","q":"\\u00e9, b"}'),
        ("same.csv", 'q,n,id\nc,1,2\n"é, b",,1\n'),
        ("same.yaml", "- {id: 1, q: 'é, b'}\n- {n: 1, id: 2, q: c}\n"),
    ]:
        assert dataset(tmp_path, content, name).version == one.version
    for content in ['{"id":1,"q":"é, b"}', '{"id":1,"q":"é, b"}\n{"id":2,"q":"C","n":1}']:
        assert dataset(tmp_path, content).version != one.version


def test_the_same_ids_in_both_parts_are_refused_and_those_of_the_other_are_known(tmp_path: Path) -> None:
    (tmp_path / "sealed.csv").write_text("id,q\n3,x\n4,y\n")
    content = '{"id": 1, "q": "a"}\n'
    open_part = dataset(tmp_path, content, holdout="sealed.csv", input="q")
    assert (list(open_part.index), open_part.elsewhere) == (["1"], frozenset({"3", "4"}))
    assert open_part.source is not None
    sealed = load_dataset(open_part.source, tmp_path, sealed=True)
    assert (list(sealed.index), sealed.elsewhere) == (["3", "4"], frozenset({"1"}))
    [found] = problems(tmp_path, content + '{"id": 3, "q": "b"}\n', holdout="sealed.csv", input="q")
    assert found.startswith("d.jsonl:2 (id): The case '3' is in the dataset and in its holdout.")


def test_a_file_that_changes_under_a_run_is_told_of(tmp_path: Path) -> None:
    found = dataset(tmp_path, '{"id": 1}\n{"id": 2}\n')
    (tmp_path / "d.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(DataError, match="was changed while it was read"):
        list(found.cases())


def test_memory_does_not_grow_with_the_length_of_what_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    with path.open("w") as file:
        for number in range(2_000):
            file.write(json.dumps({"id": number, "q": "x" * 10_000}) + "\n")  # 20 MB
    loaded = load_dataset(DatasetSource(file="d.jsonl", input="q"), tmp_path)
    tracemalloc.start()
    for each in loaded.cases():
        assert each.input
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_one_case_is_a_dataset(tmp_path: Path) -> None:
    assert len(dataset(tmp_path, '{"id": 1, "q": "a"}', input="q")) == 1


def test_a_cell_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    for name, content in [
        ("d.csv", "id,q\n1," + "x" * 10_000_000 + "\n"),
        ("d.jsonl", '{"id": 1, "q": "' + "x" * 10_000_000 + '"}\n'),
    ]:
        [only] = dataset(tmp_path, content, name, input="q").cases()
        assert isinstance(only.input, str)
        assert len(only.input) == 10_000_000


def test_two_encodings_in_one_file_are_told_with_line_and_column(tmp_path: Path) -> None:
    content = '{"id": 1, "q": "café"}\n'.encode() + '{"id": 2, "q": "café"}\n'.encode("latin-1")
    [found] = problems(tmp_path, content, input="q")
    assert found.startswith("d.jsonl:2:20: The file is not UTF-8: byte 0xe9")
