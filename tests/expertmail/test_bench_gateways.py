"""The comparison with other gateways: what the kit tells is read right, and no untrue 250 goes unseen."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench import gateways, kit
from bench.__main__ import side_by_side
from bench.intake import SAMPLES, SENDER, _zone_lines
from bench.peer_figures import HEADINGS, Figures, Pace, cells, figures_of, goals_of, middle
from bench.smtp_load import Load, send_all
from bench.transmissions import Kept, Start, as_delivered, differences, starts_of
from expertmail.demo.stage import LOOPBACK, copy_world, staged
from expertmail.verifier_bench import new_key, signed_message

RECORDED = Path(__file__).with_name("gateway_figures.json")


def figures(
    name: str, rate: float = 1_000.0, p99: float = 40.0, big: float = 100.0, pss: float = 200.0
) -> Figures:
    pace = Pace(rate, rate - 10, rate + 10, 900.0, 20.0, p99, 0.0)
    return Figures(name, (pace, dataclasses.replace(pace, rate=rate * 2)), big, pss, 0)


def test_a_recorded_run_is_read_with_its_names_and_units() -> None:
    told = json.loads(RECORDED.read_text())
    found = figures_of("one", told)
    at_20, at_64 = found.paces
    c20, c64 = told["speed"]["c20"], told["speed"]["c64"]
    assert (at_20.rate, at_20.p50, at_20.p99) == (
        c20["msg_per_s"],
        c20["txn_ms"]["p50"],
        c20["txn_ms"]["p99"],
    )
    assert (at_64.rate, at_64.cpu, at_64.low) == (c64["msg_per_s"], c64["server_cpu_us_per_msg"], c64["min"])
    assert found.big == told["speed"]["big_c8"]["MB_per_s"]
    assert found.pss == told["speed"]["memory_after_big"]["pss_MB"]
    assert found.refused == 0
    assert len(cells(found)) == len(HEADINGS)


def test_messages_that_a_server_did_not_accept_are_told_beside_its_name() -> None:
    told = json.loads(RECORDED.read_text())
    told["speed"]["c64"]["accepted"] -= 7
    assert cells(figures_of("one", told))[0] == "one (7 refused)"


def test_a_run_without_one_of_the_measurements_is_not_read() -> None:
    told = json.loads(RECORDED.read_text())
    del told["speed"]["c64"]
    with pytest.raises(KeyError):
        figures_of("one", told)


def test_of_several_turns_the_median_counts_with_the_widest_range_and_the_most_memory() -> None:
    turns = [figures("a", 100, pss=10), figures("a", 900, pss=30), figures("a", 200, pss=20)]
    found = middle(turns)
    assert (found.paces[0].rate, found.paces[0].low, found.paces[0].high) == (200, 90, 910)
    assert found.pss == 30
    with pytest.raises(ValueError, match="no turn"):
        middle([])


@pytest.mark.parametrize(
    ("ours", "peers", "missed"),
    [
        (figures("ours", 1_600), [figures("p", 1_000, big=90)], []),
        (
            figures("ours", 1_200),
            [figures("p", 1_000, big=90)],
            ["1.20 times as fast as p, not 1.5 times"] * 2,
        ),
        (
            figures("ours", 1_000, big=90),
            [figures("slow", 10), figures("fast", 1_000, big=90)],
            ["fast, not ahead", "not 1.5 times"] * 2 + ["90 MB/s, slow at 100 MB/s: not ahead"],
        ),
        (figures("ours", p99=50.1), [], ["p99 at 20 connections is 50.1 ms, not 50 ms"]),
        (figures("ours", p99=50.0, pss=250), [], ["250 MB (PSS), not under 250 MB"]),
    ],
    ids=[
        "all met",
        "ahead, not by the aim",
        "equal is not ahead, of the best each",
        "too slow for some",
        "too large",
    ],
)
def test_goals_are_held_to_the_best_peer(ours: Figures, peers: list[Figures], missed: list[str]) -> None:
    told = [text for text, met in goals_of(ours, peers) if not met]
    assert len(told) == len(missed)
    assert all(text.endswith(end) for text, end in zip(told, missed, strict=True))


# --- what is on record beside what was acknowledged

SMALL = [b"DKIM-Signature: a\r\nDKIM-Signature: b\r\n\r\none\r\n", b"DKIM-Signature: a\r\n\r\ntwo"]
FILES = {"small": [as_delivered(raw) for raw in SMALL], "big": []}
STARTS = [Start("small", 3, 3, 3), Start("small", 2, 2, 2)]
PASS = {"result": "pass", "aligned": True, "selector": "s", "domain": "sender.test"}


def copy(
    run: int, number: int, content: bytes | None = None, signatures: int | None = None, spf: str = "pass"
) -> Kept:
    file = SMALL[number % 2] if content is None else content
    raw = b"X-Transmission: %d.%d\r\n%s" % (run, number, file if file.endswith(b"\n") else file + b"\r\n")
    passed = [PASS] * (file.count(b"DKIM-") if signatures is None else signatures)
    report = {"dkim": passed, "spf": {"result": spf}, "dmarc": {"result": "pass"}}
    body = {"answers": [{"name": "s._domainkey.sender.test.", "status": "answer", "records": ["p=x"]}]}
    return Kept(
        f"{run}-{number}",
        hashlib.sha256(raw).hexdigest(),
        raw,
        "no-claim",
        "no-claim",
        json.dumps(report),
        json.dumps(body),
    )


ALL = [copy(5, 0), copy(5, 1), copy(5, 2), copy(-7, 0), copy(-7, 1)]


def test_when_all_that_was_acknowledged_is_on_record_nothing_is_said() -> None:
    assert differences(STARTS, FILES, ALL) == (5, [])


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (ALL[:-1], "5 acknowledged, 4 stored"),
        ([*ALL, copy(9, 0)], "5 acknowledged, 6 stored"),
        ([*ALL, dataclasses.replace(ALL[0], id="x")], "x is stored more than once"),
        ([*ALL, ALL[0]], "5-0 has more than one evidence set"),
        ([*ALL[:-1], copy(-7, 1, SMALL[0])], "the 2 messages of one run over small are not on record as sent"),
        ([*ALL[:-1], copy(-7, 1, b"DKIM-Signature: a\r\n\r\nthree")], "1 stored messages were sent by nobody"),
        ([*ALL[:-1], copy(-7, 2)], "the 2 messages of one run over small are not on record as sent"),
        ([*ALL[:-1], dataclasses.replace(ALL[-1], raw=b"\r\n")], "-7-1 was not sent by the client"),
        ([*ALL[:-1], dataclasses.replace(ALL[-1], digest="0")], "-7-1 does not have its own digest"),
        ([*ALL[:-1], dataclasses.replace(ALL[-1], report=None)], "-7-1 has no evidence"),
        (
            [*ALL[:-1], dataclasses.replace(ALL[-1], evidence_verdict="genuine")],
            "-7-1 has the verdict 'no-claim', and 'genuine' with its evidence",
        ),
        ([copy(5, 0, signatures=1), *ALL[1:]], "5-0 has 2 signatures, of which 1 pass in its evidence"),
        (
            [*ALL[:-1], dataclasses.replace(ALL[-1], body='{"answers": []}')],
            "-7-1 has a signature whose key is not in its evidence",
        ),
        ([*ALL[:-1], copy(-7, 1, spf="fail")], "-7-1 does not pass SPF and DMARC in its evidence"),
    ],
)  # fmt: skip
def test_whatever_differs_is_said(kept: list[Kept], said: str) -> None:
    assert said in differences(STARTS, FILES, kept)[1]


def test_a_message_that_was_refused_is_said_and_its_copy_is_not_awaited() -> None:
    starts = [STARTS[0], Start("small", 2, 2, 1)]
    assert differences(starts, FILES, ALL[:-1]) == (4, ["1 messages were not accepted"])


def test_at_most_ten_differences_are_said() -> None:
    assert len(differences([], FILES, [copy(1, n, b"x\r\n") for n in range(50)])[1]) == 10


def test_every_start_of_the_client_is_read_from_its_log() -> None:
    told = json.dumps({"answered": 400, "accepted": 399})
    line = f"-p 2525 -c 20 -n 400 -k 100 -t 60 -l /a place/small.list\t{told}\n"
    assert starts_of(line) == [Start("small", 400, 400, 399)]
    with pytest.raises(ValueError, match="not a start"):
        starts_of("-p 2525 probe.eml\t{}\n")


def test_what_the_running_gateway_stored_is_read_with_its_verdicts_and_evidence(tmp_path: Path) -> None:
    pem, record = new_key()
    world = copy_world(SAMPLES, tmp_path / "world")
    with (world / "zone.db").open("a") as zone:
        zone.write(_zone_lines(record))
    folder = tmp_path / "gateway"
    folder.mkdir()
    signed = [signed_message(n, pem, 300) for n in range(3)]
    sent = [b"X-Transmission: 12.%d\r\n%s" % (n, signed[n % 3]) for n in range(7)]

    async def run() -> int:
        async with staged(world, folder) as stage:
            return len(await send_all(LOOPBACK, stage.smtp_port, Load(sent, SENDER, "query@experts.test"), 2))

    acknowledged = asyncio.run(run())
    with closing(sqlite3.connect(folder / "var" / "expertmail.db")) as database:
        rows = list(gateways.kept(database))
    files = {"small": [as_delivered(raw) for raw in signed]}
    assert differences([Start("small", 7, acknowledged, acknowledged)], files, rows) == (7, [])


def test_where_there_is_no_kit_it_is_said_how_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kit, "FOLDER", tmp_path)
    told = kit.missing()
    assert told is not None
    assert str(tmp_path) in told
    assert "KIT names its folder" in told


def test_what_was_not_measured_and_what_went_wrong_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    absent = {"other": "it is not installed"}
    side_by_side(
        gateways.Comparison(
            figures("ours"), (figures("peer"),), 3, ("a is lost",), absent, ("ours", "peer", "ours")
        )
    )
    told = capsys.readouterr().out
    assert "1,000 (990..1,010)" in told
    assert "Not measured: other: it is not installed" in told
    assert "each once, by its hash: no" in told
    assert "FAULT: a is lost" in told
