"""The installed public suffix list against the list's own checks, and what it says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from verifier.public_suffixes import list_version, public_suffixes

_CHECK = re.compile(r"^checkPublicSuffix\((null|'[^']*'), (null|'[^']*')\);$", re.MULTILINE)


def checks(folder: Path) -> list[tuple[str | None, str | None]]:
    """All pairs of both files: a name, and the organisation's domain or None where it is a suffix or no name."""
    first = _CHECK.findall((folder / "test_psl.txt").read_text(encoding="utf-8"))
    lines = (folder / "tests.txt").read_text(encoding="utf-8").splitlines()
    second = [tuple(line.split()) for line in lines if line and not line.startswith("//")]
    pairs = [(name.strip("'"), wanted.strip("'")) for name, wanted in (*first, *second)]
    return [(None if a == "null" else a, None if b == "null" else b) for a, b in pairs]


def test_every_check_of_the_list_itself_comes_out_as_expected(shared_data: Path) -> None:
    folder = shared_data / "psl"
    if not folder.is_dir():
        pytest.skip("the checks of the public suffix list (../shared/data/psl) are not on this machine")
    found = checks(folder)
    assert len(found) == 78 + 78
    wrong = {}
    for name, wanted in found:
        if name is None:  # the interface takes names only
            continue
        got = public_suffixes().organisation(name)
        if got.lower() != (wanted or name).lower():
            wrong[name] = (got, wanted)
    assert not wrong


@pytest.mark.parametrize(
    ("name", "organisation"),
    [
        ("example.com", "example.com"),
        ("a.b.c.example.com", "example.com"),
        ("mail.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("com", "com"),
        ("one.github.io", "one.github.io"),  # the private part of the list counts
        ("www.one.github.io", "one.github.io"),
        ("a.b.c.kobe.jp", "b.c.kobe.jp"),  # *.kobe.jp
        ("a.city.kobe.jp", "city.kobe.jp"),  # !city.kobe.jp
        ("a.b.unlisted-top-level", "b.unlisted-top-level"),
        ("a.xn--55qx5d.cn", "a.xn--55qx5d.cn"),  # a suffix that the list has in U-labels
        ("b.a.xn--55qx5d.cn", "a.xn--55qx5d.cn"),
    ],
)
def test_rfc7489_3_2_the_organisation_is_the_suffix_and_one_label_more(name: str, organisation: str) -> None:
    assert public_suffixes().organisation(name) == organisation


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a..b", ".com", "\x00", "!", "*", "*.ck", "!www.ck", "\udcff", "x" * 600, "x." * 300 + "com", "[1]"],
    ids=range(14),
)  # fmt: skip
def test_hostile_names_get_an_answer_that_ends_the_name(name: str) -> None:
    assert name.endswith(public_suffixes().organisation(name))


def test_the_version_is_one_stable_word_with_date_and_hash() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d_\d\d-\d\d-\d\d_UTC\+[0-9a-f]{12}", list_version())
    assert public_suffixes().version == list_version() == list_version()


def test_the_list_is_not_loaded_before_it_is_needed() -> None:
    program = (
        "import sys, verifier.public_suffixes, verifier.evaluate, expertmail.dmarc_mode as mode\n"
        "assert mode.suffixes_for('rfc9989') is None\n"
        "assert 'publicsuffixlist' not in sys.modules\n"
        "assert mode.suffixes_for('rfc7489').version\n"
        "assert 'publicsuffixlist' in sys.modules\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
