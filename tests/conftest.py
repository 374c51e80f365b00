"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public test messages and suites beside the project; skips where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the public test data (../shared/data) is not on this machine")
    return SHARED_DATA
