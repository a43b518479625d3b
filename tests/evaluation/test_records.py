"""Records of files good and bad: what is read, and what is said where."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptarena.errors import DataError
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.records import Record, read_records


def read(path: Path) -> tuple[list[Record], list[str]]:
    problems = DataProblems()
    records = list(read_records(path, problems))
    try:
        problems.raise_any()
    except DataError as error:
        return records, [str(problem).removeprefix(f"{path}").lstrip(":") for problem in error.problems]
    return records, []


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"id": "1", "text": "a, \\"b\\"\\nc"}\n\n{"id": "2", "text": "é"}\n'),
        ("a.ndjson", '\ufeff{"id": "1", "text": "a, \\"b\\"\\nc"}\r\n\r\n{"id": "2", "text": "é"}'),
        ("a.csv", 'id,text\n1,"a, ""b""\nc"\n2,é\n'),
        ("a.tsv", 'id\ttext\n1\t"a, ""b""\nc"\n2\té\n'),
        ("a.yaml", '- {id: "1", text: "a, \\"b\\"\\nc"}\n\n- id: "2"\n  text: é\n'),
    ],
)
def test_every_format_gives_the_same_records_with_their_lines(
    tmp_path: Path, name: str, content: str
) -> None:
    records, problems = read(write(tmp_path, name, content))
    assert problems == []
    assert [record.values for record in records] == [
        {"id": "1", "text": 'a, "b"\nc'},
        {"id": "2", "text": "é"},
    ]
    lines = content.replace("\r", "").split("\n")
    second = next(number for number, line in enumerate(lines, 1) if "é" in line or 'id: "2"' in line)
    assert [record.line for record in records][1] == second


def test_parquet_gives_the_same_records_with_the_numbers_of_their_rows(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "a", "tags": ["x"]}, {"id": 2, "text": None, "tags": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    records, problems = read(tmp_path / "a.parquet")
    assert problems == []
    assert [(record.line, record.values) for record in records] == [(1, rows[0]), (2, rows[1])]


def test_parquet_values_become_what_json_can_hold(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    row = {"nan": math.nan, "day": moment, "money": Decimal("1.50"), "inner": {"when": moment.date()}}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    [record] = read(tmp_path / "a.parquet")[0]
    assert record.values == {
        "nan": None,
        "day": "2026-01-02T00:00:00+00:00",
        "money": 1.5,
        "inner": {"when": "2026-01-02"},
    }


def test_a_parquet_column_of_bytes_is_told_of_and_the_others_are_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "raw": [b"x"]}), tmp_path / "a.parquet")
    records, problems = read(tmp_path / "a.parquet")
    assert [record.values for record in records] == [{"id": "1"}]
    assert problems == [" (raw): The column holds bytes, not text. Cast it to a string."]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.dictionaries(
            st.text(max_size=5), st.text() | st.integers() | st.booleans() | st.none(), max_size=4
        ),
        max_size=6,
    )
)
def test_what_was_written_as_json_lines_is_read_back(tmp_path: Path, values: list[dict[str, Any]]) -> None:
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(value) + "\n" for value in values))
    records, problems = read(path)
    assert problems == []
    assert [record.values for record in records] == values


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"id": 1}\n{"id" 2}\n', "2:7: This is not JSON"),
        ("a.jsonl", '{"id": NaN}\n', "1: This is not JSON that can be used: NaN is no value."),
        (
            "a.jsonl",
            '{"id": 1, "id": 2}\n',
            "1: This is not JSON that can be used: the key 'id' is written twice",
        ),
        ("a.jsonl", "[1]\n", "1: A record is a JSON object"),
        ("a.jsonl", "[" * 200_000 + "\n", "1: This is not JSON"),
        ("a.jsonl", b'{"id": 1}\n{"t": "caf\xe9"}\n', "2:11: The file is not UTF-8: byte 0xe9"),
        ("a.jsonl", '{"id": 1}'.encode("utf-16"), "The file is UTF-16. Save it as UTF-8."),
        ("a.csv", "id,id\n1,2\n", "1: The column 'id' is there twice."),
        ("a.csv", "id,text\n1,a,b\n", "2: The row has 3 cells where the first line names 2"),
        ("a.csv", "id,text\n1,a\nid,text\n", "3: The first line is repeated here."),
        ("a.csv", 'id,text\n1,"a\n', "2: This is not CSV"),
        ("a.csv", b"id,text\n1,caf\xe9\n", "2:6: The file is not UTF-8"),
        ("a.yaml", "a: 1\n", "1: A YAML file of records is a list"),
        ("a.yaml", "- 1\n", "1: A record is a mapping"),
        ("a.yaml", "- {a: 1\n- {b\n", "This is not YAML"),
        ("a.yaml", "- {a: 1, a: 2}\n", "This is not YAML"),
        ("a.parquet", "x", "This is not a Parquet file that can be read: "),
        ("a.xlsx", "x", "Files of records end in .jsonl"),
        ("nothing", "x", "this one ends in nothing"),
    ],
)
def test_a_broken_file_is_told_of_by_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    _, problems = read(write(tmp_path, name, content))
    assert len(problems) == 1
    assert said in problems[0]


def test_good_records_around_a_bad_one_are_read(tmp_path: Path) -> None:
    records, problems = read(write(tmp_path, "a.jsonl", '{"id": 1}\nx\n{"id": 3}\n'))
    assert [record.line for record in records] == [1, 3]
    assert len(problems) == 1


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    assert "There is no such file." in read(tmp_path / "none.csv")[1][0]
    (tmp_path / "folder.csv").mkdir()
    assert "This is a folder" in read(tmp_path / "folder.csv")[1][0]


def test_a_long_answer_fits_in_a_csv_cell(tmp_path: Path) -> None:
    records, problems = read(write(tmp_path, "a.csv", f"id,text\n1,{'x' * 1_000_000}\n"))
    assert problems == []
    assert len(records[0].values["text"]) == 1_000_000


def test_problems_beyond_twenty_of_a_file_are_counted(tmp_path: Path) -> None:
    _, problems = read(write(tmp_path, "a.jsonl", "x\n" * 30))
    assert len(problems) == 21
    assert problems[-1].endswith("And 10 more problems in this file.")
