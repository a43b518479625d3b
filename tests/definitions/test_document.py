from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from promptarena.definitions.document import FieldPath, parse_document, read_document
from promptarena.errors import DefinitionError, Location, Problem

FILE = Path("x.yaml")


def problem_of(text: str) -> Problem:
    with pytest.raises(DefinitionError) as caught:
        parse_document(text, FILE)
    (problem,) = caught.value.problems
    return problem


def test_values_and_keys_know_their_line_column_and_field() -> None:
    document = parse_document("a: 1\nb:\n  c: [1, {x: 3}]\n  d:\n", FILE)
    assert document.data == {"a": 1, "b": {"c": [1, {"x": 3}], "d": None}}
    assert document.position(("b", "c", 1, "x")) == Location(FILE, 3, 14, "b.c[1].x")
    assert document.position(("b", "c", 1, "x"), key=True) == Location(FILE, 3, 11, "b.c[1].x")
    # An empty value is looked for at its key, a missing one at what would hold it.
    assert document.position(("b", "d")) == Location(FILE, 4, 3, "b.d")
    assert document.position(("b", "e", "f")) == Location(FILE, 2, 1, "b.e.f")
    assert document.position(("z",)) == Location(FILE, 1, 1, "z")


def test_scalars_follow_yaml_1_2() -> None:
    text = "{a: yes, b: true, c: 012, d: 0x1F, e: 1e3, f: .5, g: 10%, h: 2020-01-01, i: ~, j: '1', k: 1_000}"
    assert parse_document(text, FILE).data == {
        "a": "yes",
        "b": True,
        "c": 12,
        "d": 31,
        "e": 1000.0,
        "f": 0.5,
        "g": "10%",
        "h": "2020-01-01",
        "i": None,
        "j": "1",
        "k": 1000,
    }


def test_aliases_and_merge_keys_are_expanded() -> None:
    text = "base: &base {a: 1, b: 2}\none: *base\ntwo: {<<: *base, b: 3}\nthree: {<<: [*base, {c: 4}]}\n"
    assert parse_document(text, FILE).data == {
        "base": {"a": 1, "b": 2},
        "one": {"a": 1, "b": 2},
        "two": {"a": 1, "b": 3},
        "three": {"a": 1, "b": 2, "c": 4},
    }


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a:\n\t- b\n", 2, 1, "tab"),
        ("a: [1\nb: 2\n", 2, 2, "expected ',' or ']'"),
        ("a: @x\n", 1, 4, "'@'"),
        ("a: *b\n", 1, 4, "undefined alias"),
        ("a: b: c\n", 1, 5, "quotes"),
        ("a: 'x\n", 2, 1, "quoted scalar"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
        ("a: b\x01\n", 1, 5, "Control character 0x01"),
        ("", None, None, "empty"),
        ("# only a comment\n", None, None, "empty"),
        ("~\n", 1, 1, "mapping"),
        ("- 1\n", 1, 1, "found a list"),
        ("just words\n", 1, 1, "found one value"),
        ("a: " + "[" * 500, None, None, "nested too deeply"),
    ],
)
def test_broken_yaml_is_one_problem_with_its_place(
    text: str, line: int | None, column: int | None, words: str
) -> None:
    problem = problem_of(text)
    assert problem.where is not None
    assert (problem.where.file, problem.where.line, problem.where.column) == (FILE, line, column)
    assert words in str(problem)


def test_a_nest_of_aliases_is_refused_before_it_fills_the_memory() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "aliases" in str(problem_of("\n".join(lines)))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "`a` is written twice; the first is on line 1"),
        ("a: &a [*a]\n", 1, "the value that holds it"),
        ("a: !python/object x\n", 1, "tag"),
        ("a: .nan\n", 1, "finite"),
        ("a: -.inf\n", 1, "finite"),
        ("? [1, 2]\n: 3\n", 1, "key"),
        ("a: {<<: 3}\n", 1, "`<<`"),
    ],
)
def test_what_can_still_be_read_is_noted_and_not_raised(text: str, line: int, words: str) -> None:
    (problem,) = parse_document(text, FILE).problems
    assert problem.where is not None
    assert problem.where.line == line
    assert words in problem.message


def test_unreadable_files_say_why(tmp_path: Path) -> None:
    def message(name: str) -> str:
        with pytest.raises(DefinitionError) as caught:
            read_document(tmp_path / name)
        (problem,) = caught.value.problems
        return str(problem)

    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: 'é".encode() + "é'\n".encode("latin-1"))
    (tmp_path / "utf16.yaml").write_text("a: 1\n", encoding="utf-16")
    (tmp_path / "huge.yaml").write_bytes(b"a: 1\n" * 300_000)
    (tmp_path / "folder").mkdir()
    assert "no such file" in message("absent.yaml")
    assert "folder" in message("folder")
    assert "latin.yaml:2:6: The file is not UTF-8: byte 0xe9" in message("latin.yaml")
    assert "not UTF-8" in message("utf16.yaml")
    assert "1,000,000 bytes" in message("huge.yaml")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    document = read_document(tmp_path / "bom.yaml")
    assert document.data == {"a": 1}
    assert document.position(("a",)).column == 4


def test_taking_a_value_out_keeps_the_place_and_name_of_the_rest() -> None:
    document = parse_document("l:\n- {a: 1}\n- {a: 2}\n- {a: 3}\nm: {x: 1, y: 2}\n", FILE)
    less = document.without(("l", 0)).without(("m", "x"))
    assert less.data == {"l": [{"a": 2}, {"a": 3}], "m": {"y": 2}}
    assert less.position(("l", 1, "a")) == Location(FILE, 4, 7, "l[2].a")
    assert less.position(("l", 1, "a"), key=True) == Location(FILE, 4, 4, "l[2].a")
    assert not less.holds(("l", 2))
    assert less.removed == {("l", -1), ("m", "x")}


names = st.text(st.characters(categories=["L"]), min_size=1, max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(categories=["L", "N"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(data=st.dictionaries(names, plain, min_size=1, max_size=5), flow=st.booleans())
def test_reading_is_the_reference_parser_and_every_value_has_a_place(
    data: dict[str, object], flow: bool
) -> None:
    stream = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = flow
    writer.dump(data, stream)
    document = parse_document(stream.getvalue(), FILE)
    assert document.data == data
    assert document.problems == ()
    assert set(document.values) == set(_paths(document.data, ()))


def _paths(value: object, at: FieldPath) -> list[FieldPath]:
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [at, *(path for part, item in inner for path in _paths(item, (*at, part)))]
