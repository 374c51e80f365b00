"""The demo tells the truth: all is well with the packaged world, and any key or message tampered with shows."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from expertmail.demo import stage
from expertmail.demo.play import Row, play, strangers_mail
from expertmail.demo.scenes import SCENES
from expertmail.demo.stage import staged

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
KEYS = {
    "s1._domainkey.experts": "A genuine notification",
    "c1._domainkey.contoso": "The customer's reply",
    "a1._domainkey.attacker": "False: the experts' display name",
    "x1._domainkey.expert5": "False: a look-alike domain",
    "f1._domainkey.fabrikam": "A stranger asks about a suspicious message",
}
# What these say is broken before it is changed further, so that no verdict can tell.
BROKEN_ALREADY = {"false-body-changed.eml", "false-text-appended.eml", "false-from-not-signed.eml"}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLES, tmp_path / "world"))


def acted(world: Path, folder: Path) -> dict[str, Row]:
    """The rows of one run by their titles."""

    async def run() -> list[Row]:
        async with staged(world, folder) as running:
            rows = [row async for row in play(running, world)]
            assert strangers_mail(running) == []
            return rows

    folder.mkdir()
    return {row.title: row for row in asyncio.run(run())}


def demo(*arguments: str, folder: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``expertmail demo --once`` as a process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EXPERTMAIL_")}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-m", "expertmail", "demo", "--once", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=120,
        check=False,
    )


def test_a_byte_changed_in_each_message_shows_in_each_row(world: Path, tmp_path: Path) -> None:
    for scene in SCENES:
        raw = (world / scene.file).read_bytes()
        # The last letter of the body's own text, below every signature.
        place = max(i for i in range(len(raw)) if raw[i : i + 1].isalpha() and b"forwarded" not in raw[i:])
        (world / scene.file).write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
    rows = acted(world, tmp_path / "run")
    for scene in SCENES:
        row = rows[scene.title]
        assert row.altered, scene.title
        assert not row.right, scene.title
        if scene.file not in BROKEN_ALREADY:
            assert row.outcome != row.expected, f"{scene.title}: the change is not seen in what came of it"


@pytest.mark.parametrize("name", list(KEYS) if os.environ.get("FULL") else list(KEYS)[:2])
def test_a_key_taken_from_the_zone_shows(
    name: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without its key nothing of ours goes out, and waiting for it shows nothing more.
    monkeypatch.setattr(stage, "MAIL_SECONDS", 4.0)
    zone = world / "zone.db"
    text = zone.read_text()
    without = re.sub(rf"(?m)^{re.escape(name)} .*\n", "", text)
    assert without != text
    zone.write_text(without)
    rows = acted(world, tmp_path / "run")
    row = rows.get(KEYS[name])
    assert row is None or row.outcome != row.expected
    assert not all(one.right for one in rows.values())


def test_the_exit_code_is_1_when_something_differs(world: Path, tmp_path: Path) -> None:
    genuine = world / "genuine-notification.eml"
    genuine.write_bytes(genuine.read_bytes().replace(b"two pending", b"ten pending"))
    done = demo("--world", str(world), folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Not as expected: A genuine notification" in done.stdout


def test_it_runs_from_a_built_wheel_in_an_empty_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    if len(tracked) < 10:
        pytest.skip("this is no git checkout, so what belongs to the project cannot be told")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(tmp_path), str(source)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    installed, empty = tmp_path / "installed", tmp_path / "empty"
    shutil.unpack_archive(wheel, installed, "zip")
    empty.mkdir()
    assert not (installed / "tests").exists()
    assert (installed / "verifier" / "py.typed").is_file(), "whoever uses the library gets its types (PEP 561)"
    code = "import expertmail, sys; sys.stdout.write(expertmail.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=empty, check=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    ).stdout  # fmt: skip
    assert found.startswith(str(installed)), "the wheel is what runs"
    done = demo(folder=empty, path=installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "came out as expected" in done.stdout
    assert list(empty.iterdir()) == [], "nothing is left behind"
