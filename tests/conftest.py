"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NO_PACKAGE_HELPS = "root may write everywhere"  # the one reason that nothing installed could take away
SHARED_DATA = ROOT.parent / "shared" / "data"


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
    wanted = report.skipped and not hasattr(report, "wasxfail") and NO_PACKAGE_HELPS not in str(report.longrepr)
    if wanted and os.environ.get("TESTS_MAY_NOT_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
    return report
