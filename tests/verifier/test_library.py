"""The library as docs/library.md shows it: the examples run, and importing it costs little."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

import verifier
from tests.cases.genuine import PROTECTED, genuine, zone
from tests.verifier.judging import AT, txt
from verifier import Evidence, Resolver, Verdict, explain, verify, verify_offline
from verifier.zone import read_zone

DOCUMENT = Path(__file__).parents[2] / "docs" / "library.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_each_example_runs_and_is_ten_lines_or_so(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    code = EXAMPLES[number]
    assert len(code.strip().splitlines()) <= 12
    exec(
        compile(code, str(DOCUMENT), "exec"),
        {"name_servers": [("127.0.0.1", 9)], "message": b"Subject: x\r\n\r\nHello\r\n"},
    )
    assert capsys.readouterr().out.split()[0] in {verdict.value for verdict in Verdict}


def test_a_genuine_message_is_genuine_offline_and_its_evidence_says_so_again() -> None:
    raw = genuine(0).raw
    report = verify_offline(raw, PROTECTED, txt(zone()), AT)
    assert report.verdict is Verdict.GENUINE
    assert explain(report).chain
    assert verify_offline(raw, PROTECTED, Evidence(), AT).verdict is Verdict.UNPROVEN  # nothing is at hand


def test_what_was_judged_with_a_resolver_is_judged_alike_from_its_evidence() -> None:
    from tests.cases.__main__ import master_file

    async def run() -> tuple[verifier.Report, Evidence]:
        async with Resolver([], read_zone(master_file(), "zone")) as resolver:
            return await verify(genuine(1).raw, PROTECTED, resolver, AT)

    report, evidence = asyncio.run(run())
    assert report.verdict is Verdict.GENUINE
    assert verify_offline(genuine(1).raw, PROTECTED, evidence, AT) == report


def test_every_exported_name_is_there_and_typed() -> None:
    assert sorted(verifier.__all__) == sorted(verifier._HOME)
    for name in verifier.__all__:
        assert getattr(verifier, name) is not None
    with pytest.raises(AttributeError):
        getattr(verifier, "nothing_of_that_name")  # noqa: B009 - asked for as a program would
    assert (Path(verifier.__file__).parent / "py.typed").exists()


def test_importing_the_package_loads_nothing_else() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, verifier; print([m for m in sys.modules if m.startswith(('verifier.', 'dns', 'spf'))])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "[]"


def test_with_the_public_suffix_list_dmarc_is_evaluated_by_rfc_7489() -> None:
    from verifier.public_suffixes import public_suffixes
    from verifier.report import DmarcMode

    raw = genuine(0).raw
    older = verify_offline(raw, PROTECTED, txt(zone()), AT, suffixes=public_suffixes())
    newer = verify_offline(raw, PROTECTED, txt(zone()), AT)
    assert (older.dmarc.mode, newer.dmarc.mode) == (DmarcMode.RFC7489, DmarcMode.RFC9989)
    assert older.verdict is newer.verdict is Verdict.GENUINE
