"""The choice between the RFCs of DMARC, from the option and the setting to every verdict that hangs on it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from expertmail.cli import run
from expertmail.default_identities import default_identities
from expertmail.dmarc_mode import suffixes_for
from expertmail.faults import ExitCode, FaultError
from expertmail.gateway import settings_hash
from expertmail.replay_command import judge_again
from expertmail.sessionless import SessionlessJudge
from expertmail.settings import Settings, load
from outbound.key_files import generate_key
from outbound.sign import SigningKey
from tests.smtp_gateway.world import message, signed, whole_gateway
from threads.store.read import judgements
from verifier import public_suffixes
from verifier.driver import Budget
from verifier.report import DmarcMode

ROOT = Path(__file__).resolve().parents[2]
# Only a subdomain has a record: RFC 9989 takes it for the organisation, RFC 7489 asks the public suffix list.
ZONE = """$ORIGIN com.
$TTL 300
@                 SOA ns.example hostmaster.example 1 3600 600 86400 300
_dmarc.a.example  TXT "v=DMARC1; p=reject; pct=25"
example           TXT "v=spf1 ip4:192.0.2.1 -all"
"""
MESSAGE = b"From: x@a.example.com\r\nTo: y@contoso.com\r\nSubject: x\r\n\r\nHello\r\n"
SESSION = ["--client-ip", "192.0.2.1", "--helo", "mx.example.com", "--mail-from", "bounce@example.com"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A message and the zone to judge it by, as arguments."""
    (tmp_path / "zone.db").write_text(ZONE)
    (tmp_path / "x.eml").write_bytes(MESSAGE)
    return [str(tmp_path / "x.eml"), "--zone", str(tmp_path / "zone.db"), *SESSION]


def dmarc(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    run(["verify", "--json", *arguments])
    out, err = capsys.readouterr()
    assert err == ""
    found: dict[str, object] = json.loads(out)["dmarc"]
    return found


OLDER = {"result": "pass", "policy": "reject", "policy_domain": "a.example.com", "org_domain": "example.com",
         "aligned_by": ["spf"], "reason": None, "mode": "rfc7489", "percent": 25}  # fmt: skip
NEWER = {"result": "fail", "policy": "reject", "policy_domain": "a.example.com", "org_domain": "a.example.com",
         "aligned_by": [], "reason": "no-aligned-identifier", "mode": "rfc9989", "percent": None}  # fmt: skip


def test_verify_goes_by_the_rfc_of_the_option(capsys, files: list[str]) -> None:
    assert dmarc(capsys, *files) == NEWER
    assert dmarc(capsys, *files, "--dmarc-mode", "rfc9989") == NEWER
    assert dmarc(capsys, *files, "--dmarc-mode", "rfc7489") == OLDER


def test_verify_goes_by_the_setting_where_no_option_says_otherwise(
    capsys, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPERTMAIL_VERIFIER__DMARC_MODE", "rfc7489")
    assert dmarc(capsys, *files) == OLDER
    assert dmarc(capsys, *files, "--dmarc-mode", "rfc9989") == NEWER


def test_the_command_in_the_older_mode_runs_as_a_process_of_its_own(files: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "expertmail", "verify", "--json", "--dmarc-mode", "rfc7489", *files],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr == b""
    assert json.loads(done.stdout)["dmarc"] == OLDER


def test_a_person_is_told_the_older_rfc(capsys, files: list[str]) -> None:
    run(["verify", "--explain", "--dmarc-mode", "rfc7489", *files])
    told = " ".join(capsys.readouterr().out.split())
    assert "RFC 7489 6.6" in told
    assert "RFC 9989" not in told


@pytest.mark.parametrize("mode", ["", "rfc7488", "7489", "rfc7489 "])
def test_a_mode_that_is_none_is_bad_usage(capsys, files: list[str], mode: str) -> None:
    assert run(["verify", "--json", "--dmarc-mode", mode, *files]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "--dmarc-mode" in err


def test_the_setting_takes_the_two_words_only(tmp_path: Path) -> None:
    config = tmp_path / "expertmail.toml"
    config.write_text('[verifier]\ndmarc_mode = "rfc7489"\n')
    assert load(config).verifier.dmarc_mode == "rfc7489"
    assert load().verifier.dmarc_mode == "rfc9989"
    config.write_text('[verifier]\ndmarc_mode = "rfc822"\n')
    with pytest.raises(FaultError, match=r"verifier\.dmarc_mode"):
        load(config)


def test_the_settings_hash_of_a_verdict_covers_the_mode() -> None:
    newer = Settings()
    older = newer.model_copy(update={"verifier": newer.verifier.model_copy(update={"dmarc_mode": "rfc7489"})})
    assert settings_hash(newer, ()) != settings_hash(older, ())


def test_a_list_that_cannot_be_read_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(public_suffixes, "public_suffixes", gone)
    assert suffixes_for("rfc9989") is None
    with pytest.raises(FaultError, match="rfc9989, which needs no list") as told:
        suffixes_for("rfc7489")
    assert told.value.code is ExitCode.CONFIG


class Nobody:
    """A resolver without any answer."""

    async def ask(self, questions: object, seconds: float | None = None) -> dict[object, object]:
        del questions, seconds
        return {}


@pytest.mark.parametrize("mode", list(DmarcMode))
def test_console_and_self_check_go_by_the_mode(mode: DmarcMode) -> None:
    judge = SessionlessJudge(
        default_identities(),
        Nobody(),
        None,
        "mx.test",
        budget=Budget(),
        clock=lambda: datetime(2026, 11, 25, tzinfo=UTC),
        suffixes=suffixes_for(mode),
    )
    try:
        assert asyncio.run(judge.report(MESSAGE)).dmarc.mode is mode
    finally:
        judge.close()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return generate_key(tmp_path_factory.mktemp("keys") / "key.pem")


@pytest.mark.parametrize("mode", list(DmarcMode))
def test_the_gateway_stores_by_which_rfc_it_judged_and_a_replay_differs_only_with_the_mode(
    mode: DmarcMode, tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key, suffixes=suffixes_for(mode)) as world:
            raw = signed(message(), key)
            assert (await world.send(raw, "query@experts.test")).startswith("250")
            (copy,) = world.copies()
            with world.database.reading() as conn:
                stored = judgements(conn, copy.id)[-1]
            then = json.loads(stored.report)["dmarc"]
            assert (then["result"], then["mode"]) == ("pass", mode)
            for other in DmarcMode:
                again = judge_again(raw, stored, (), "mx.experts.test", suffixes_for(other))["dmarc"]
                assert (again == then) is (other is mode)

    asyncio.run(scenario())


def test_the_version_of_the_list_is_told_by_what_is_judged_with() -> None:
    suffixes = suffixes_for("rfc7489")
    assert suffixes is not None
    assert suffixes.version == public_suffixes.list_version()
