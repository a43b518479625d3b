"""The header and the lines of delimited text, and what is wrong with a file that cannot be read."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.errors import DataError
from promptarena.storage.text_table import TextLayout, diagnose, line_of_row, read_layout


def written(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "names", "delimiter", "blank"),
    [
        (b"a,b\n1,2\n", ("a", "b"), ",", 0),
        (b"\xef\xbb\xbfa;b\r\n1;2\r\n", ("a", "b"), ";", 0),
        (b"a\tb\tc, d\n", ("a", "b", "c, d"), "\t", 0),
        (b"\n\r\na|b\n", ("a", "b"), "|", 2),
        (b'a,"b\nc", d \n1,2,3\n', ("a", "b\nc", "d"), ",", 0),
        (b",a\n0,1\n", ("", "a"), ",", 0),
        ("größe,b\n".encode(), ("größe", "b"), ",", 0),
        (b"only", ("only",), ",", 0),
    ],
)
def test_the_header_tells_the_layout(
    tmp_path: Path, content: bytes, names: tuple[str, ...], delimiter: str, blank: int
) -> None:
    assert read_layout(written(tmp_path, content)) == TextLayout(names, delimiter, blank)


def test_a_tsv_file_is_parted_by_tabs_whatever_its_header_holds(tmp_path: Path) -> None:
    assert read_layout(written(tmp_path, b"a, b, c\td\n", "t.tsv")).names == ("a, b, c", "d")


def test_a_bad_byte_after_the_header_does_not_hide_it(tmp_path: Path) -> None:
    assert read_layout(written(tmp_path, b"a,b\n1,\xe9\n")).names == ("a", "b")


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"\n\n", "t.csv", r"t\.csv: The file is empty"),
        (b"n\xe9,b\n", "t.csv", r"t\.csv:1: Byte 0xe9 \(`é` in Latin-1\) is not UTF-8"),
        ("a,b\n".encode("utf-16"), "t.csv", "UTF-16, not UTF-8"),
        (b"PK\x03\x04rest", "t.csv", "Excel workbook"),
        (b"PAR1rest", "t.csv", "a Parquet file"),
        (gzip.compress(b"a,b\n", mtime=0), "t.csv", "compressed with gzip.*Name it .csv.gz"),
        (b"a\0b", "t.csv", "binary file"),
        (b"a,b\n", "t.csv.gz", "cannot be unpacked"),
        (b"a,b,a\n", "t.csv", r"t\.csv:1 \(a\): Columns 1 and 3 are both called `a`\. Rename"),
        (b"a,b,B\n", "t.csv", r"Columns 2 and 3 are both called `B` \(letter case"),
    ],
)
def test_a_file_that_is_no_table_is_named_for_what_it_is(
    tmp_path: Path, content: bytes, name: str, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        read_layout(written(tmp_path, content, name))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,b\n1,2\n3\n", r":3: This line has 1 fields, the header has 2"),
        (b"a,b\n1,2\n\n3,4,5\n", r":4: This line has 3 fields"),
        (b'a,b\n"x\ny",2\n3\n', r":4: This line has 1 fields"),
        (b"a,b\n1,2\n3,\xe9\n4\n", r":3: Byte 0xe9 \(`é` in Latin-1\)"),
        (b'a,b\n1,"2\n', r":2: Quotes do not match"),
        (b'a,b\n1,2\n3,"5" pipe\n', r":3: Quotes do not match"),
        (b"a,b\r\n1,2\r\n3,4\n5,6\r\n", r":3: Line ends change"),
    ],
)
def test_the_first_thing_wrong_has_its_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = written(tmp_path, content)
    found = diagnose(path, read_layout(path))
    assert found is not None
    with pytest.raises(DataError, match=says):
        raise found


def test_a_bad_byte_is_found_beyond_the_first_chunk_and_across_chunks(tmp_path: Path) -> None:
    line = "é".encode() * 99 + b",1\n"
    lines = 12_000  # more than two chunks of a million bytes; characters of two bytes straddle their edges
    path = written(tmp_path, b"a,b\n" + line * lines + b"\xe9,1\n" + line)
    found = diagnose(path, read_layout(path))
    assert found is not None
    assert found.problems[0].where is not None
    assert found.problems[0].where.line == lines + 2


def test_a_file_with_nothing_wrong_gets_no_diagnosis(tmp_path: Path) -> None:
    path = written(tmp_path, b'a,b\n1,"x, ""y"""\n2,3,\n')
    assert diagnose(path, read_layout(path)) is None


def test_a_truncated_archive_is_said_to_be_one(tmp_path: Path) -> None:
    content = gzip.compress(b"a,b\n" + b"".join(f"{i},{i * 7919 % 9973}\n".encode() for i in range(400_000)))
    path = written(tmp_path, content[: len(content) * 9 // 10], "t.csv.gz")
    found = diagnose(path, read_layout(path))
    assert "cannot be unpacked" in str(found)


@given(
    st.lists(st.lists(st.text('ab,"\n ;', max_size=4), min_size=2, max_size=2), min_size=1, max_size=12),
    st.data(),
)
def test_a_row_is_found_on_the_line_where_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.csv"
    begins = []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["x", "y"])
        line = 2
        for row in rows:
            if data.draw(st.booleans()):
                file.write("\n")
                line += 1
            begins.append(line)
            writer.writerow(row)
            line += 1 + sum(value.count("\n") for value in row)
    layout = read_layout(path)
    assert [line_of_row(path, layout, at) for at in range(len(rows))] == begins
    assert line_of_row(path, layout, len(rows)) is None
