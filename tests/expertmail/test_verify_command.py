"""``expertmail verify`` as a person and a script use it: verdicts, exit codes, files of every kind."""

from __future__ import annotations

import asyncio
import io
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from expertmail.cli import run
from expertmail.saved_messages import Note, repaired, split_mbox
from verifier.zone import read_zone
from verifier.zone_server import ZoneServer

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ZONE = ["--zone", str(SAMPLES / "zone.db")]
GENUINE = SAMPLES / "genuine-notification.eml"
UNPINNED = SAMPLES / "genuine-unpinned-address.eml"
FORGED = SAMPLES / "false-display-name.eml"
CHANGED = SAMPLES / "false-body-changed.eml"
ORDINARY = SAMPLES / "customer-question.eml"
FORWARDED = SAMPLES / "customer-forwards-suspicious.eml"


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, object]], str]:
    """Exit code, the JSON objects on standard output (nothing else may stand there), and standard error."""
    code = run(["verify", "--json", *arguments])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize(
    ("files", "verdicts", "code"),
    [
        ([GENUINE], ["genuine"], 0),
        ([GENUINE, ORDINARY], ["genuine", "no-claim"], 0),
        ([ORDINARY], ["no-claim"], 3),
        ([UNPINNED], ["authentic-unpinned"], 2),
        ([CHANGED], ["unproven"], 2),
        ([GENUINE, CHANGED], ["genuine", "unproven"], 2),
        ([FORGED], ["forged"], 1),
        ([GENUINE, CHANGED, FORGED], ["genuine", "unproven", "forged"], 1),
    ],
)
def test_the_exit_code_tells_the_worst_verdict(
    capsys, files: list[Path], verdicts: list[str], code: int
) -> None:
    got, objects, err = found(capsys, *map(str, files), *ZONE)
    assert [o["verdict"] for o in objects] == verdicts
    assert [o["file"] for o in objects] == [str(f) for f in files]
    assert got == code
    assert err == ""


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 40])
def test_every_message_is_judged_however_many_there_are(capsys, tmp_path: Path, count: int) -> None:
    paths = [tmp_path / f"{number:03}.eml" for number in range(count)]
    for path in paths:
        path.write_bytes(b"From: a@fabrikam.test\r\n\r\nhi\r\n")
    assert [o["file"] for o in found(capsys, *map(str, paths), *ZONE)[1]] == list(map(str, paths))
    assert [o["file"] for o in found(capsys, str(tmp_path), *ZONE)[1]] == list(map(str, paths))


def test_an_attached_message_is_judged_and_counts(capsys) -> None:
    code, (outer,), _ = found(capsys, str(FORWARDED), *ZONE)
    assert outer["verdict"] == "no-claim"
    assert [i["verdict"] for i in outer["inner"]] == ["forged"]
    assert code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["verify", "--no-such-option", str(GENUINE)],
        ["verify", str(GENUINE), "--at", "yesterday"],
        ["verify", str(GENUINE), "--client-ip", "999.1.1.1"],
        ["verify", str(GENUINE), "--resolver", "dns.example"],
        ["verify", str(GENUINE), "--resolver", "127.0.0.1:99999"],
        ["verify", str(GENUINE), "--evidence", "x.json", "--zone", "y.db"],
    ],
)
def test_bad_usage_is_64_and_one_sentence(capsys, arguments: list[str]) -> None:
    assert run(arguments) == 64
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert err.strip()


def test_an_absent_file_is_66_and_the_others_are_judged(capsys, tmp_path: Path) -> None:
    code, objects, err = found(capsys, str(tmp_path / "absent.eml"), str(GENUINE), *ZONE)
    assert code == 66
    assert [o["verdict"] for o in objects] == ["genuine"]
    assert "absent.eml" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--zone", "--evidence", "--identity"])
@pytest.mark.parametrize("content", [None, b"\xff\xfe{", b"[[identity]]\nname = 3\n"])
def test_an_unusable_option_file_is_66(capsys, tmp_path: Path, option: str, content: bytes | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    assert run(["verify", str(GENUINE), option, str(file)]) == 66
    assert "Traceback" not in capsys.readouterr().err


def test_a_broken_msg_file_is_refused_with_advice(capsys, tmp_path: Path) -> None:
    file = tmp_path / "x.msg"
    file.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    code, objects, err = found(capsys, str(file), *ZONE)
    assert (code, objects) == (66, [])
    assert ".eml" in err


def test_a_file_without_any_crlf_is_read_as_crlf(capsys, tmp_path: Path) -> None:
    file = tmp_path / "lf.eml"
    file.write_bytes(GENUINE.read_bytes().replace(b"\r\n", b"\n"))
    code, (found_object,), _ = found(capsys, str(file), *ZONE)
    assert (code, found_object["verdict"]) == (0, "genuine")
    assert [n["code"] for n in found_object["notes"]] == ["lf-only"]


def test_mixed_line_ends_are_left_alone_and_reported(capsys, tmp_path: Path) -> None:
    file = tmp_path / "mixed.eml"
    whole = GENUINE.read_bytes()
    file.write_bytes(whole[:-2] + b"\n" if whole.endswith(b"\r\n") else whole + b"\n")
    _, (found_object,), _ = found(capsys, str(file), *ZONE)
    assert "mixed-line-ends" in [n["code"] for n in found_object["notes"]]


def test_an_mbox_file_holds_several_messages(capsys, tmp_path: Path) -> None:
    file = tmp_path / "all.mbox"
    head = b"From a@b Wed Nov 25 10:00:00 2026\n"
    texts = [f.read_bytes().replace(b"\r\n", b"\n") for f in (GENUINE, FORGED)]
    file.write_bytes(b"".join(head + text + b"\n" for text in texts))
    code, objects, _ = found(capsys, str(file), *ZONE)
    assert [o["verdict"] for o in objects] == ["genuine", "forged"]
    assert [o["file"] for o in objects] == [f"{file}:1", f"{file}:2"]
    assert code == 1


def test_standard_input_is_read_for_a_dash(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GENUINE.read_bytes())))
    code, (found_object,), _ = found(capsys, "-", *ZONE)
    assert (code, found_object["file"], found_object["verdict"]) == (0, "-", "genuine")


def test_a_folder_is_judged_whole(capsys, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "b.eml").write_bytes(GENUINE.read_bytes())
    (tmp_path / "inside" / "a.eml").write_bytes(ORDINARY.read_bytes())
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    code, objects, _ = found(capsys, str(tmp_path), *ZONE)
    assert sorted(str(o["verdict"]) for o in objects) == ["genuine", "no-claim"]
    assert code == 0


def test_saved_evidence_gives_the_same_verdict_offline(capsys, tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    assert run(["verify", "--json", str(GENUINE), *ZONE, "--save-evidence", str(file)]) == 0
    capsys.readouterr()
    stored = json.loads(file.read_text())
    assert set(stored) >= {"at", "absent", "answers", "session"}
    assert stored["absent"] == "unknown"
    code, (again,), _ = found(capsys, str(GENUINE), "--evidence", str(file))
    assert (code, again["verdict"]) == (0, "genuine")
    assert again["supplied"] == ["evidence", "clock"]


@pytest.fixture
def name_server() -> Iterator[str]:
    """The sample zone on a loopback port, served from a thread of its own."""
    ready: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = queue.SimpleQueue()

    async def serve() -> None:
        done = asyncio.Event()
        async with ZoneServer(read_zone((SAMPLES / "zone.db").read_text("utf-8"), "samples")) as server:
            ready.put((asyncio.get_running_loop(), done, server.address[1]))
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    loop, done, port = ready.get(timeout=10)
    yield f"127.0.0.1:{port}"
    loop.call_soon_threadsafe(done.set)
    thread.join(timeout=10)


def test_a_name_server_is_asked_and_its_answers_are_saved(capsys, tmp_path: Path, name_server: str) -> None:
    file = tmp_path / "evidence.json"
    asked = ["--resolver", name_server, "--save-evidence", str(file)]
    code, (found_object,), _ = found(capsys, str(GENUINE), *asked)
    assert (code, found_object["verdict"], found_object["supplied"]) == (0, "genuine", [])
    names = {a["name"] for a in json.loads(file.read_text())["answers"]}
    assert "s1._domainkey.experts.test." in names
    code, (again,), _ = found(capsys, str(GENUINE), "--evidence", str(file))
    assert (code, again["verdict"]) == (0, "genuine")


def test_evidence_without_the_key_is_a_temporary_error_not_a_forgery(capsys, tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    file.write_text('{"at": "2026-11-25T10:00:00Z", "absent": "unknown", "answers": [], "session": null}')
    code, (found_object,), _ = found(capsys, str(GENUINE), "--evidence", str(file))
    assert (code, found_object["verdict"]) == (2, "unproven")
    assert "signature-temporary-error" in [r["code"] for r in found_object["reasons"]]


def test_a_supplied_session_is_labelled_and_forges_nothing(capsys) -> None:
    session = ["--client-ip", "192.0.2.99", "--helo", "x.example", "--mail-from", "x@evil.example"]
    code, (found_object,), _ = found(capsys, str(SAMPLES / "false-dmarc-failure.eml"), *ZONE, *session)
    assert (code, found_object["verdict"]) == (2, "unproven")
    assert "session" in found_object["supplied"]


def test_an_identity_file_replaces_the_defaults(capsys, tmp_path: Path) -> None:
    file = tmp_path / "identities.toml"
    file.write_text('[[identity]]\nname = "x"\ndomains = ["other.example"]\n')
    code, (found_object,), _ = found(capsys, str(GENUINE), *ZONE, "--identity", str(file))
    assert (code, found_object["verdict"]) == (3, "no-claim")


@pytest.mark.parametrize("explain", [[], ["--explain"]])
def test_a_person_reads_verdict_sentence_and_reasons(capsys, explain: list[str]) -> None:
    assert run(["verify", str(GENUINE), str(FORGED), *ZONE, *explain]) == 1
    out = capsys.readouterr().out
    assert "GENUINE" in out
    assert "FORGED" in out
    assert "imitates" in out
    assert "\x1b" not in out  # no colours where nobody sees them
    assert ("RFC 6376" in out) == bool(explain)


def test_what_a_message_says_cannot_reach_the_terminal_as_controls(capsys, tmp_path: Path) -> None:
    file = tmp_path / "evil.eml"
    file.write_bytes(b'From: "[red]x\x1b[31m" <a\x1b@evil.example>\r\nSubject: x\r\n\r\nx\r\n')
    run(["verify", str(file), *ZONE, "--explain"])
    assert "\x1b" not in capsys.readouterr().out


HOSTILE = {
    "empty": b"",
    "header-only": b"From: d@experts.test\r\n",
    "blank": b"\r\n",
    "binary": bytes(range(256)) * 200,
    "no-newline": b"x" * 500_000,
    "long-header": b"From: " + b"a" * 500_000 + b"@experts.test\r\n\r\n",
    "many-fields": b"X: y\r\n" * 80_000 + b"\r\n",
    "100-signatures": b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=experts.test; s=s%d; h=from; bh=x; b=y\r\n" % i
        for i in range(100)
    )
    + b"From: d@experts.test\r\n\r\nx\r\n",
    "1000-deep": b"From: d@experts.test\r\n"
    + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(1000)),
    "1000-deep-messages": b"From: d@experts.test\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 1000,
    "not-utf-8": b"From: \xff\xfe <d@experts.test>\r\nSubject: \x80\x81\r\n\r\n\xff\xfe\r\n",
    "encoded-words": b"From: " + b"=?utf-8?B?QUJD?= " * 20_000 + b"<d@experts.test>\r\n\r\n",
    "parentheses": b"From: " + b"(" * 100_000 + b"d@experts.test\r\n\r\n",
    "at-signs": b"From: " + b"@" * 100_000 + b"\r\n\r\n",
    "blanks": b"From: d@experts.test\r\nSubject:" + b" " * 400_000 + b"x\r\n\r\n" + b" " * 400_000 + b"\r\n",
    "dashes": b"From: d@experts.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--x\r\n" * 150_000,
    "quotes": b"From: d@experts.test\r\nContent-Type: text/plain\r\n\r\n" + b"On a a a " * 100_000,
    "tags": b"From: d@experts.test\r\nContent-Type: text/html\r\n\r\n" + b"<" * 900_000,
    "bare-cr": b"From: d@experts.test\rTo: x\r\r" * 1000,
    "nul": b"From: d@experts.test\0\r\n\r\n\0",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_gets_an_answer_within_a_second(capsys, tmp_path: Path, name: str) -> None:
    file = tmp_path / "hostile.eml"
    file.write_bytes(HOSTILE[name])
    started = time.perf_counter()
    code, objects, err = found(capsys, str(file), *ZONE)
    assert time.perf_counter() - started < 2  # one second on an idle machine
    assert len(objects) == 1
    assert code in (1, 2, 3)
    assert objects[0]["verdict"] in ("forged", "unproven", "no-claim")
    assert err == ""


def test_every_truncation_of_a_genuine_message_gets_an_answer_and_none_is_forged(
    capsys, tmp_path: Path
) -> None:
    whole = GENUINE.read_bytes()
    step = max(1, len(whole) // 120)
    for size in range(0, len(whole), step):
        (tmp_path / f"{size:06}.eml").write_bytes(whole[:size])
    code, objects, _ = found(capsys, str(tmp_path), *ZONE)
    assert code in (1, 2, 3)
    for each in objects:
        assert each["verdict"] != "genuine" or len(whole) - int(Path(str(each["file"])).stem) < 3


def test_the_command_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "expertmail", "verify", "--json", str(GENUINE), *ZONE],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SAMPLES.parent)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "genuine"
    assert done.stderr == b""


def test_mbox_quoting_is_undone_once_and_only_from_lines_after_a_blank_line_count() -> None:
    data = b"From a@b Wed Nov 25 10:00:00 2026\nA: b\n\n>From x\n>>From y\nx\nFrom z 10:00\n\nFrom b@c 11:00\nC: d\n\n\n"
    assert list(split_mbox(data)) == [b"A: b\n\nFrom x\n>From y\nx\nFrom z 10:00\n", b"C: d\n\n"]


def test_only_a_file_without_crlf_is_repaired() -> None:
    assert repaired(b"a\nb\n") == (b"a\r\nb\r\n", (Note.LF_ONLY,))
    assert repaired(b"a\r\nb\n") == (b"a\r\nb\n", (Note.MIXED_LINE_ENDS,))
    assert repaired(b"a\r\nb\r\n") == (b"a\r\nb\r\n", ())
    assert repaired(b"") == (b"", (Note.EMPTY,))
