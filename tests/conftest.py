"""Fixtures that every room's tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import dkim
import pytest

from tests import fresh_record
from tests.rsa_keys import few_rsa_keys
from threads.migrations import run

ROOT = Path(__file__).resolve().parent.parent
NO_PACKAGE_HELPS = "root may write everywhere"  # the one reason that nothing installed could take away
SHARED_DATA = ROOT.parent / "shared" / "data"


# What is signed in a test is judged as of a fixed day; dkimpy has a clock of its own, which has to stand there, too.
DKIMPY_TIME = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def _dkimpys_clock_stands_still() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dkim, "time", SimpleNamespace(time=DKIMPY_TIME.timestamp))
        yield


@pytest.fixture(scope="module", autouse=True)
def _what_earlier_files_left_is_not_looked_through_again() -> None:
    """One full collection over thousands of earlier tests takes 0.3 s, and would be counted as time of the code at hand."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _an_empty_record_is_made_at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "upgrade", fresh_record.upgrade)
        yield


@pytest.fixture(scope="session", autouse=True)
def _rsa_keys_are_few() -> Iterator[None]:
    with few_rsa_keys():
        yield


@pytest.fixture
def real_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Revision after revision, as everybody else gets it."""
    monkeypatch.setattr(run, "upgrade", fresh_record.REAL_UPGRADE)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public test messages and suites beside the project; skips where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the public test data (../shared/data) is not on this machine")
    return SHARED_DATA


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Turn a skip into a failure where everything a test needs has been installed (.ci/run says so)."""
    report = yield
    wanted = (
        report.skipped and not hasattr(report, "wasxfail") and NO_PACKAGE_HELPS not in str(report.longrepr)
    )
    if wanted and os.environ.get("TESTS_MAY_NOT_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
    return report
