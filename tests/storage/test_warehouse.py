"""The embedded engine stays within its memory, keeps its files in one place and removes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from promptarena.errors import DataError
from promptarena.storage.warehouse import Warehouse, fetch, held


def test_everything_temporary_is_in_one_folder_and_goes_with_it(tmp_path: Path) -> None:
    with Warehouse(folder=tmp_path) as warehouse:
        warehouse.connection.raw_sql("CREATE TABLE t AS SELECT range AS i FROM range(1000)")
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
    warehouse.close()  # twice does no harm


def test_what_was_left_open_goes_at_exit(tmp_path: Path) -> None:
    forgetful = (
        "from pathlib import Path; from promptarena.storage.warehouse import Warehouse;"
        f"kept = Warehouse(folder=Path({str(tmp_path)!r})).connection; kept.raw_sql('CREATE TABLE t (x INT)')"
    )
    subprocess.run([sys.executable, "-c", forgetful], check=True)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_for_temporary_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no place for temporary files.*TMPDIR"):
        Warehouse(folder=tmp_path / "absent")


def test_work_beyond_the_memory_limit_is_spilled_and_right(tmp_path: Path) -> None:
    with Warehouse(memory=40_000_000, folder=tmp_path) as warehouse:
        connection = warehouse.connection
        connection.raw_sql(
            "CREATE TABLE t AS SELECT md5((range % 700000)::VARCHAR) AS unit, range AS n FROM range(1400000)"
        )
        rows = connection.table("t")
        grouped = rows.group_by("unit").aggregate(n=rows.n.sum(), rows=rows.count())
        with held(grouped) as units:
            spilled = [file for file in tmp_path.rglob("spill/*") if file.stat().st_size]
            [answer] = fetch(
                units.aggregate(units=units.count(), n=units.n.sum(), twice=(units["rows"] == 2).sum())
            ).to_pylist()
        assert spilled
        assert answer == {"units": 700_000, "n": 1_400_000 * 1_399_999 // 2, "twice": 700_000}


def test_what_cannot_fit_even_so_is_said_without_the_engines_words(tmp_path: Path) -> None:
    with Warehouse(memory=20_000_000, folder=tmp_path) as warehouse:
        connection = warehouse.connection
        connection.raw_sql("CREATE TABLE t AS SELECT range AS n FROM range(3000000)")
        rows = connection.table("t")
        with pytest.raises(DataError, match="The data does not fit"):
            fetch(rows.aggregate(all=rows.n.cast("string").collect()))


def test_a_held_answer_is_gone_afterwards(tmp_path: Path) -> None:
    with Warehouse(folder=tmp_path) as warehouse:
        connection = warehouse.connection
        connection.raw_sql("CREATE TABLE t AS SELECT range AS n FROM range(10)")
        with held(connection.table("t")) as kept:
            assert fetch(kept.aggregate(n=kept.count())).to_pylist() == [{"n": 10}]
        left = connection.con.execute("SELECT table_name FROM information_schema.tables").fetchall()
        assert left == [("t",)]


def test_nothing_is_fetched_from_a_network() -> None:
    with Warehouse() as warehouse:
        [found] = warehouse.connection.con.execute(
            "SELECT current_setting('autoinstall_known_extensions')"
        ).fetchall()
        assert found == (False,)
