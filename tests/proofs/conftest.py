"""Fixtures of the proofs: programs from Debian that play the outside world."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proofs.served import Served


@pytest.fixture
def program() -> Callable[[str], str]:
    """The path of a program; skips, and says which Debian package holds it, where it is absent."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed (Debian package {name})")
        return found

    return find


@pytest.fixture
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Make served worlds that are stopped at the end of the test. In this folder's tests they start as everywhere."""
    here = request.path.parent == Path(__file__).parent
    made: list[Served] = []

    def make(extra: str = "", **more: object) -> Served:
        folder = tmp_path / f"world{len(made)}"
        folder.mkdir()
        made.append(Served(folder, extra, **{"forked": not here, **more}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for served in made:
        served.stop()
