"""What every test may use, and the rule that a skip is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.calibration import Calibration, merge

# A loaded machine is no reason to fail: what is slow is measured in bench/. CI judges a change, so it draws the
# same examples each time; whoever develops looks for new ones.
settings.register_profile("promptarena", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("promptarena")

_ROOT = Path(__file__).resolve().parent.parent
_SHARED_DATA = _ROOT.parent / "shared" / "data"
_ABSENT = "the shared data folder is absent"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that is not part of this project; without it the test is skipped."""
    if not _SHARED_DATA.is_dir():
        pytest.skip(_ABSENT)
    return _SHARED_DATA


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--calibrate", action="store_true", help="keep what simulations found, and write docs/calibration.md"
    )


@pytest.fixture
def calibration(request: pytest.FixtureRequest) -> Generator[Calibration]:
    """Records what a simulation promised and found: see `tests/calibration.py`."""
    found = Calibration(request.node.nodeid)
    yield found
    for row in found.rows:
        print(f"{row.procedure}, {row.setting}: {row.figure} {row.observed:g} ({row.nominal}, {row.verdict})")
    if found.rows and request.config.getoption("--calibrate"):
        merge(found.test, found.rows)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure unless the shared data is what is missing."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _ABSENT not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; only {_ABSENT!r} excuses that: {report.longrepr}"
    return report
