"""`expertmail dns check` as it is run: against a zone file, a name server on loopback, and one that fails or is hostile."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import pytest

from outbound.key_files import load_key
from outbound.sign import dns_record
from tests.expertmail.conftest import Ended
from tests.expertmail.dns_faults import PLANTED
from tests.expertmail.dns_zone import (
    AUTHORITY,
    IPV4,
    LEAF_KEY,
    MX,
    POLICY,
    pem,
    pem_of,
    strings,
    zone_text,
)
from tests.verifier.zones import PacketServer
from verifier.zone import read_zone
from verifier.zone_server import ZoneServer, respond

Check = Callable[..., Ended]
D, R = "experts.test", "reply.experts.test"
KEY = f"s1._domainkey.{D}. TXT"


class Served:
    """A server on an event loop of its own, for the command runs its own in this thread."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> str:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.__aenter__(), self._loop).result(10)
        host, port = self._server.address
        return f"{host}:{port}"

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def world(command: Check, tmp_path: Path) -> Path:
    """A gateway that is set up for use: key, certificate, delivery to MX hosts. Its settings file."""
    now = datetime.now(UTC)
    leaf = AUTHORITY.issue(
        LEAF_KEY, names=(MX,), begins=now - timedelta(days=1), ends=now + timedelta(days=60)
    )
    (tmp_path / "chain.pem").write_bytes(pem(leaf, AUTHORITY.intermediate))
    (tmp_path / "key.pem").write_bytes(pem_of(LEAF_KEY))
    (tmp_path / "policy.txt").write_text(POLICY)
    settings = tmp_path / "settings.toml"
    settings.write_text(
        '[delivery]\nmode = "mx"\n[smtp]\ntls_certificate = "chain.pem"\ntls_key = "key.pem"\n', "ascii"
    )
    assert command("dns", "show", "--config", str(settings)).code == 0  # makes the key, as serve does
    return settings


@pytest.fixture
def check(command: Check, world: Path) -> Check:
    """Run the check on that gateway."""

    def run(*arguments: str) -> Ended:
        return command("dns", "check", "--config", str(world), "--policy-file", "policy.txt", *arguments)

    return run


def own_zone(folder: Path, changes: dict[str, list[str]] | None = None) -> str:
    """The sound zone with this gateway's own key, and with changes."""
    key = load_key(folder / "var" / "keys" / f"{D}.s1.pem")
    return zone_text({KEY: [strings(dns_record(key))], **(changes or {})})


def codes(ended: Ended) -> set[tuple[str, str]]:
    return {(one["code"], one["name"]) for one in ended.json["findings"] if one["severity"] != "ok"}


@contextmanager
def serving(folder: Path, changes: dict[str, list[str]] | None = None) -> Iterator[str]:
    with Served(ZoneServer(read_zone(own_zone(folder, changes)))) as address:
        yield address


def test_a_sound_zone_ends_with_0(check: Check, tmp_path: Path) -> None:
    (tmp_path / "zone.db").write_text(own_zone(tmp_path))
    ended = check("--zone", "zone.db")
    assert (ended.code, ended.err) == (0, "")
    assert "fault" not in ended.out.replace("No fault", "")
    assert "\x1b" not in ended.out
    assert check("--zone", "zone.db", "--json").json["exit"] == 0


# Each kind of record once, and what only a real answer shows: long records by TCP, CNAMEs, several records.
THROUGH_A_SERVER = (
    "no MX",
    "null MX",
    "MX is a CNAME",
    "sending address without a name",
    "name that does not lead back",
    "two SPF records",
    "SPF eleven lookups, nested",
    "SPF long",
    "another key",
    "no key record",
    "two key records",
    "no DMARC",
    "DMARC none",
    "DMARC reports to others",
    "two MTA-STS records",
    "MTA-STS host missing",
    "no TLS-RPT",
    "TLSA of an earlier key",
    "CAA that forbids all",
)


@pytest.mark.parametrize("name", THROUGH_A_SERVER)
def test_a_fault_is_found_through_a_name_server(check: Check, tmp_path: Path, name: str) -> None:
    changes, facts, expected = PLANTED[name]
    with serving(tmp_path, changes) as address:
        ended = check("--resolver", address, "--json")
    # The certificate on disk is for the host name alone.
    also = {("certificate-name", MX)} if "tls" in facts else set()
    assert codes(ended) == expected | also, ended.err
    severities = {one["severity"] for one in ended.json["findings"]}
    assert ended.code == ended.json["exit"] == (1 if "fault" in severities else 0)


def test_a_finding_tells_what_why_and_the_record(check: Check, tmp_path: Path) -> None:
    with serving(tmp_path, {KEY: []}) as address:
        text = check("--resolver", address)
        ended = check("--resolver", address, "--json")
    (one,) = (one for one in ended.json["findings"] if one["severity"] == "fault")
    assert {name: one[name] for name in ("code", "check", "name", "rfc")} == {
        "code": "dkim-missing",
        "check": "DKIM",
        "name": f"s1._domainkey.{D}",
        "rfc": "RFC 6376 3.6.2.1",
    }
    (record,) = one["publish"]
    assert record["line"] in text.out
    assert read_zone(record["line"]).sets[record["name"] + "."]["TXT"].records == (record["text"],)
    assert text.out.splitlines()[-1].startswith("1 fault, ")
    assert text.code == ended.code == 1


def test_a_server_that_fails_ends_with_75_and_no_fault(check: Check) -> None:
    def fail(packet: bytes) -> list[bytes]:
        response = dns.message.make_response(dns.message.from_wire(packet))
        response.set_rcode(dns.rcode.SERVFAIL)
        return [response.to_wire()]

    with Served(PacketServer(fail)) as address:
        ended = check("--resolver", address, "--json")
    assert ended.code == 75
    assert {code for code, _ in codes(ended)} == {"unchecked"}


def test_answers_that_are_noise_end_with_75(check: Check) -> None:
    with Served(PacketServer(lambda packet: [packet[:2] + b"\x81\x80" + b"\xff" * 40])) as address:
        ended = check("--resolver", address, "--json")
    assert ended.code == 75
    assert {code for code, _ in codes(ended)} == {"unchecked"}


def test_a_fault_outweighs_a_gap(check: Check, tmp_path: Path) -> None:
    zone = read_zone(own_zone(tmp_path, {f"{D}. MX": []}))

    def behave(packet: bytes) -> list[bytes]:
        if b"_smtp" in packet:
            return [packet[:2] + b"\x81\x82" + packet[4:]]  # SERVFAIL
        answer = respond(zone, packet)
        return [answer] if answer else []

    with Served(PacketServer(behave)) as address:
        ended = check("--resolver", address, "--json")
    assert ended.code == 1
    assert codes(ended) >= {("mx-missing", D), ("unchecked", D), ("unchecked", R)}


ESCAPES = '"v=spf1 \\027]0;owned\\007\\027[2J\\155\\195\\040 -all"'
LONG = " ".join('"' + "a" * 250 + '"' for _ in range(40))


@pytest.mark.parametrize(
    "changes",
    [
        {f"{D}. TXT": [LONG, '"v=spf1 ' + "a" * 200 + '" ' + LONG]},
        {f"{D}. TXT": [ESCAPES]},
        {f"_dmarc.{D}. TXT": [ESCAPES.replace("v=spf1", "v=DMARC1; p=reject; rua=mailto:"), LONG]},
        {f"_dmarc.{D}. TXT": ['"v=DMARC1; p=none; rua=" ' + '"mailto:a@b.test," ' * 200]},
        {f"_mta-sts.{D}. TXT": [ESCAPES.replace("v=spf1", "v=STSv1;")]},
        {f"_mta-sts.{D}. TXT": ['"v=STSv1; id=1" ' + '"' + " " * 250 + '" ' * 1 + '"!"']},
        {f"_smtp._tls.{D}. TXT": [ESCAPES.replace("v=spf1", "v=TLSRPTv1;")]},
        {KEY: [ESCAPES, LONG]},
        {KEY: ['"v=DKIM1; p=\\255\\254"']},
        {f"{D}. MX": ["10 \\027[2J\\;x\\040\\255.test.", "10 a\\.b.test."]},
        {"25.2.0.192.in-addr.arpa. PTR": ["\\027[31mroot\\010.test."]},
        {f"_25._tcp.{MX}. TLSA": [f"3 1 0 {'ab' * 2000}", "255 255 255 00"]},
        {f"{D}. CAA": ['0 issue "\\027[2J"', '0 \\105ssue ";"']},
        {f"{D}. TXT": [f'"v=spf1 include:{D} include:{D} include:{D} -all"']},
        {f"{D}. MX": [f"{n} m{n}.{D}." for n in range(200)]},
    ],
)  # fmt: skip
def test_hostile_records_are_told_in_printable_text(
    check: Check, tmp_path: Path, changes: dict[str, list[str]]
) -> None:
    with serving(tmp_path, changes) as address:
        for form in ((), ("--json",)):
            ended = check("--resolver", address, *form)
            assert ended.code in {0, 1}, ended.err
            assert ended.err == ""
            assert all(c.isprintable() or c == "\n" for c in ended.out)
            assert max(map(len, ended.out.splitlines())) < 6_000


def test_without_options_a_trial_is_checked_in_its_own_zone(command: Check) -> None:
    assert command("dns", "show").code == 0
    ended = command("dns", "check", "--json")
    assert ended.code == 0, ended.out
    assert "zone.db" in ended.json["source"]
    assert command("keys", "rotate", "publish").code == 0  # puts its records into the zone
    assert command("dns", "check").code == 0


def test_the_resolver_of_the_settings_is_asked(check: Check, world: Path, tmp_path: Path) -> None:
    with serving(tmp_path) as address:
        world.write_text(world.read_text() + f'[dns]\nresolvers = ["{address}"]\n')
        ended = check("--json")
    assert (ended.code, codes(ended), ended.json["source"]) == (0, set(), address)


def test_a_key_that_waits_for_its_record_is_told(check: Check, command: Check, tmp_path: Path) -> None:
    (tmp_path / "zone.db").write_text(own_zone(tmp_path))
    assert command("keys", "rotate", "publish", "--config", "settings.toml").code == 0
    ended = check("--zone", "zone.db", "--json")
    assert codes(ended) == {
        ("dkim-missing", f"s2._domainkey.{D}"),
        ("dkim-missing", f"s2-ed25519._domainkey.{D}"),
    }
    records = [r for one in ended.json["findings"] for r in one["publish"]]
    record = next(r for r in records if r["name"].startswith("s2."))
    assert record["text"] == dns_record(load_key(tmp_path / "var" / "keys" / f"{D}.s2.pem"))


def test_the_check_makes_nothing(check: Check, command: Check, tmp_path: Path) -> None:
    (tmp_path / "zone.db").write_text(own_zone(tmp_path))
    (tmp_path / "var" / "keys" / f"{D}.s1.pem").unlink()
    before = sorted(tmp_path.rglob("*"))
    ended = check("--zone", "zone.db", "--json")
    assert (ended.code, codes(ended)) == (1, {("dkim-no-key", f"s1._domainkey.{D}")})
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "s.toml").write_text("")
    assert command("dns", "check", "--config", "empty/s.toml").code == 66
    assert list((tmp_path / "empty").iterdir()) == [tmp_path / "empty" / "s.toml"]


def test_a_key_that_others_may_read_is_told(check: Check, tmp_path: Path) -> None:
    (tmp_path / "zone.db").write_text(own_zone(tmp_path))
    (tmp_path / "var" / "keys" / f"{D}.s1.pem").chmod(0o644)
    ended = check("--zone", "zone.db", "--json")
    assert (ended.code, codes(ended)) == (1, {("dkim-no-key", f"s1._domainkey.{D}")})
    assert "chmod 600" in ended.out


def test_other_addresses_may_be_named(check: Check, tmp_path: Path) -> None:
    (tmp_path / "zone.db").write_text(own_zone(tmp_path))
    assert check("--zone", "zone.db", "--address", IPV4).code == 0
    ended = check("--zone", "zone.db", "--address", "198.51.100.9", "--json")
    assert ("spf-address", R) in codes(ended)
    assert ("ptr-missing", "198.51.100.9") in codes(ended)


def test_a_policy_may_be_for_one_domain(check: Check, command: Check, tmp_path: Path) -> None:
    (tmp_path / "zone.db").write_text(own_zone(tmp_path))
    (tmp_path / "other.txt").write_bytes(b"version: STSv1\r\nmode: none\r\nmax_age: 1\r\n")
    ended = check("--zone", "zone.db", "--policy-file", f"{D}=other.txt", "--json")
    assert codes(ended) == {("mta-sts-off", D)}
    (tmp_path / "other.txt").write_bytes(b"\xff\xfe\x1b[2J\n")
    ended = check("--zone", "zone.db", "--policy-file", f"{D}=other.txt")
    assert ended.code == 1
    assert "\x1b" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--zone", "zone.db", "--resolver", "192.0.2.1"), 64),
        (("--resolver", "dns.example"), 64),
        (("--zone", "zone.db", "--address", "mx.experts.test"), 64),
        (("--zone", "zone.db", "--policy-file", "other.test=policy.txt"), 64),
        (("--zone", "zone.db", "--policy-file", "nowhere.txt"), 66),
        (("--zone", "nowhere.db"), 66),
        (("--zone", "settings.toml"), 66),
    ],
)
def test_bad_options_end_with_one_sentence(
    check: Check, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    (tmp_path / "zone.db").write_text(own_zone(tmp_path))
    ended = check(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.count("\n") == 1


def test_colour_is_for_terminals(world: Path, tmp_path: Path) -> None:
    (tmp_path / "zone.db").write_text(own_zone(tmp_path, {f"{D}. MX": []}))
    command = [
        sys.executable,
        "-m",
        "expertmail",
        "dns",
        "check",
        "--config",
        str(world),
        "--zone",
        "zone.db",
    ]
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("NO_COLOR", None)
    piped = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert b"\x1b" not in piped.stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    assert process.returncode == piped.returncode == 1
    assert b"\x1b[31m" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""
