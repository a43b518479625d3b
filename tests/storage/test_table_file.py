"""Data files open as tables; one that cannot be read gets one clear message."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest

from promptarena.errors import DataError
from promptarena.storage.table_file import open_table
from promptarena.storage.warehouse import ROW, fetch

CSV = b"user,variant,x\nu1,a,1\nu2,b,\n"
ROWS: list[dict[str, Any]] = [
    {"user": "u1", "variant": "a", "x": 1},
    {"user": "u2", "variant": "b", "x": None},
]
SELECT = "SELECT * FROM (VALUES ('u1', 'a', 1), ('u2', 'b', NULL)) AS t(\"user\", variant, x)"


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def parquet(folder: Path, name: str = "t.parquet", select: str = SELECT) -> Path:
    duckdb.sql(f"COPY ({select}) TO '{folder / name}' (FORMAT parquet)")
    return folder / name


def database(folder: Path, *tables: str, name: str = "t.duckdb") -> Path:
    with duckdb.connect(str(folder / name)) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} AS {SELECT}")
    return folder / name


def rows_of(path: str | Path, table: str | None = None) -> list[dict[str, Any]]:
    with open_table(path, table) as opened:
        return fetch(opened.rows).to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", CSV),
        ("t.csv", CSV.replace(b"\n", b"\r\n")),
        ("t.csv", b"\xef\xbb\xbf" + CSV),
        ("t.CSV", CSV),
        ("t.csv", CSV.replace(b",", b";")),
        ("t.tsv", CSV.replace(b",", b"\t")),
        ("t.csv.gz", gzip.compress(CSV, mtime=0)),
        ("t.csv", b"\n" + CSV + b"\n\n"),
        ("t.csv", b"user,variant,x,\nu1,a,1,0\nu2,b,,0\n"),
    ],
)
def test_text_is_read_as_text_in_the_order_of_the_file(tmp_path: Path, name: str, content: bytes) -> None:
    as_text = [{**row, "x": None if row["x"] is None else str(row["x"])} for row in ROWS]
    assert rows_of(written(tmp_path, name, content)) == [{**row, ROW: i} for i, row in enumerate(as_text)]


def test_parquet_and_duckdb_are_read_in_place_with_row_numbers(tmp_path: Path) -> None:
    numbered = [{**row, ROW: i} for i, row in enumerate(ROWS)]
    assert rows_of(parquet(tmp_path)) == numbered
    one = database(tmp_path, "outcomes")
    assert rows_of(one) == numbered
    assert rows_of(f"{one}::outcomes") == numbered
    two = database(tmp_path, "outcomes", "others", name="two.db")
    assert rows_of(two, "others") == numbered


def test_a_view_of_a_duckdb_file_is_read_too(tmp_path: Path) -> None:
    path = database(tmp_path, "outcomes")
    with duckdb.connect(str(path)) as connection:
        connection.execute('CREATE VIEW late AS SELECT * FROM outcomes ORDER BY "user" DESC')
    assert sorted(row["user"] for row in rows_of(path, "late")) == ["u1", "u2"]


def test_names_that_a_statement_could_not_hold_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", b'"a ""b""",select,"x;--",\xc3\xbc\n1,2,3,4\n')
    assert rows_of(path) == [{'a "b"': "1", "select": "2", "x;--": "3", "ü": "4", ROW: 0}]


def test_only_the_columns_asked_for_are_kept(tmp_path: Path) -> None:
    with open_table(written(tmp_path, "t.csv", CSV), columns=["x", "user"]) as opened:
        assert opened.rows.columns == ("user", "x", ROW)


def test_temporary_files_go_when_the_table_is_closed_or_could_not_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with open_table(written(tmp_path, "t.csv", CSV)):
        assert list(place.iterdir())
    assert list(place.iterdir()) == []
    with pytest.raises(DataError):
        open_table(written(tmp_path, "t.csv", CSV + b"short\n"))
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", b"", r"t\.csv: The file is empty"),
        ("t.csv", b"user,variant\n", r"t\.csv: It has columns but no rows"),
        ("t.csv", b"user,user\n1,2\n", r"t\.csv:1 \(user\): Columns 1 and 2 are both called `user`"),
        ("t.csv", CSV + CSV, r"t\.csv:4: The header is repeated inside the file \(1 times"),
        ("t.csv", CSV + b"\n\n" + CSV, r"t\.csv:6: The header is repeated"),
        ("t.csv", CSV + b"u3,a\n", r"t\.csv:4: This line has 2 fields, the header has 3"),
        ("t.csv", CSV + b"u3,a,1,5\n", r"t\.csv:4: This line has 4 fields.*double quotes"),
        ("t.csv", CSV + b"J\xfcrgen,a,1\n", r"t\.csv:4: Byte 0xfc \(`ü` in Latin-1\) is not UTF-8.*joined"),
        ("t.csv", CSV + b'u3,"a,1\n', r"t\.csv:4: Quotes do not match"),
        ("t.csv", CSV.replace(b"\n", b"\r\n") + CSV, r"t\.csv:4: Line ends change"),
        ("t.csv.gz", gzip.compress(CSV * 9999, mtime=0)[:-9], r"t\.csv\.gz: The file cannot be unpacked"),
        (
            "t.parquet",
            b"PAR1 and then nothing more of it",
            r"t\.parquet: The file is damaged, or is not what",
        ),
        ("t.duckdb", b"no database at all", r"t\.duckdb: The file is damaged, or is not what"),
        ("t.xlsx", b"PK\x03\x04", r"t\.xlsx: This kind of file is not known\. Accepted are \.csv"),
        ("t.csv", b"PK\x03\x04", r"t\.csv: This is a zip archive or an Excel workbook"),
        ("t.csv", b",\n1,2\n", r"t\.csv:1: No column has a name"),
    ],
)
def test_a_bad_file_gets_one_clear_message(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        open_table(written(tmp_path, name, content))
    assert len(caught.value.problems) == 1
    assert "Possible" not in str(caught.value)  # the engine's own advice is about its options, not the user's


def test_what_is_not_there_gets_the_nearest_name(tmp_path: Path) -> None:
    written(tmp_path, "outcomes.csv", CSV)
    with pytest.raises(DataError, match=r"outcome\.csv: There is no such file\. Did you mean `outcomes.csv`"):
        open_table(tmp_path / "outcome.csv")
    with pytest.raises(DataError, match=r"There is no such file"):
        open_table(tmp_path / "nowhere" / "outcomes.csv")
    with pytest.raises(DataError, match="This is a folder, not a file"):
        open_table(tmp_path)


def test_missing_columns_are_all_told_with_those_that_are_there(tmp_path: Path) -> None:
    says = (
        r"There is no column `usr`\. Did you mean `user`\? The columns are `user`, `variant`, `x`\.\n"
        r".*no column `when`\. The columns"
    )
    for path in (written(tmp_path, "t.csv", CSV), parquet(tmp_path), database(tmp_path, "outcomes")):
        with pytest.raises(DataError, match=says):
            open_table(path, columns=["usr", "variant", "when"])


def test_a_table_must_be_named_where_there_are_several_and_only_there(tmp_path: Path) -> None:
    two = database(tmp_path, "mine", "yours")
    with pytest.raises(DataError, match=r"not said which table.*::TABLE\. The tables are `mine`, `yours`"):
        open_table(two)
    with pytest.raises(DataError, match=r"It has no table `mime`"):
        open_table(f"{two}::mime")
    with pytest.raises(DataError, match="only a DuckDB file has tables"):
        open_table(f"{written(tmp_path, 't.csv', CSV)}::mine")


def test_a_file_without_rows_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="columns but no rows"):
        open_table(parquet(tmp_path, select=f"{SELECT} WHERE false"))


def test_a_database_of_another_make_or_in_use_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(DataError, match="a SQLite database, not a DuckDB one"):
        open_table(path)


def test_a_text_file_larger_than_the_memory_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    duckdb.sql(
        f"""COPY (SELECT md5(i::VARCHAR) AS unit, md5((i + 1)::VARCHAR) AS more, i AS n
        FROM range(1200000) AS t(i)) TO '{path}'"""
    )
    with open_table(path, memory=80_000_000) as opened:
        assert path.stat().st_size > 85e6
        rows = opened.rows
        [answer] = fetch(
            rows.aggregate(n=rows.count(), apart=(rows.n.cast("int64") != rows[ROW]).sum())
        ).to_pylist()
    assert answer == {"n": 1_200_000, "apart": 0}
