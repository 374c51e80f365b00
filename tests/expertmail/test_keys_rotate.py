"""Other keys sign: each step before real DNS servers, of which some lag, lie or are silent."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from expertmail import rotation_steps
from expertmail.key_sight import look
from expertmail.settings import load
from expertmail.signing_keys import keys_in_force, readable_keys
from expertmail.world import open_world
from outbound.errors import SigningError
from outbound.key_rotation import Pair, Seen
from outbound.sign import dns_record
from tests.expertmail.test_dns_check_command import Served
from verifier.zone import Record, read_zone, write_zone
from verifier.zone_server import ZoneServer

Command = Callable[..., Any]
D = "experts.test"


def zone_of(*selectors: str, lies: str = "", name_server: bool = False) -> str:
    """A zone file with the records of some of this gateway's keys; under one selector stands another's."""
    keys = readable_keys(load(Path("settings.toml") if Path("settings.toml").exists() else None))
    records = [Record(f"{one}._domainkey.{D}", "TXT", dns_record(keys[lies or one])) for one in selectors]
    records.append(Record(D, "SOA", f"ns.{D}. host.{D}. 1 3600 600 86400 60"))
    if name_server:
        records += [Record(D, "NS", f"ns.{D}."), Record(f"ns.{D}", "A", "127.0.0.1")]
    return write_zone(records)


@contextmanager
def resolvers(*zones: str) -> Iterator[None]:
    """The settings name a real DNS server for each zone."""
    with ExitStack() as stack:
        named = [stack.enter_context(Served(ZoneServer(read_zone(zone)))) for zone in zones]
        servers = ", ".join(f'"{one}"' for one in named)
        Path("settings.toml").write_text(
            f'[delivery]\nmode = "mx"\n[dns]\nresolvers = [{servers}]\n', "ascii"
        )
        yield


@pytest.fixture
def rotate(command: Command) -> Command:
    Path("settings.toml").write_text('[delivery]\nmode = "mx"\n', "ascii")
    assert command("dns", "show", "--config", "settings.toml").code == 0  # makes the key, as serve does

    def run(*arguments: str) -> Any:
        return command("keys", "rotate", *arguments, "--config", "settings.toml")

    return run


def signing() -> tuple[str, ...]:
    return keys_in_force(load(Path("settings.toml"))).signs.selectors


def test_keys_change_without_a_mail_that_nobody_can_verify(rotate: Command, command: Command) -> None:
    made = rotate("publish")
    assert made.code == 0, made.err
    assert "s2._domainkey.experts.test. 3600 IN TXT" in made.out
    assert "s2-ed25519._domainkey.experts.test. 3600 IN TXT" in made.out
    assert rotate("publish").out.count("IN TXT") == 2  # the same keys again, and nothing new
    assert signing() == ("s1",)
    both = zone_of("s1", "s2", "s2-ed25519")
    with resolvers(both, zone_of("s1", "s2")):  # one lags
        ended = rotate("see", "--json")
        assert ended.code == 1, ended.err
        assert sorted(one["seen"] for one in json.loads(ended.out)) == ["not there", "seen", "seen", "seen"]
        refused = rotate("sign")
        assert refused.code == 75
        assert "says of s2-ed25519: not there" in refused.err
    with resolvers(both, zone_of("s2", "s2-ed25519", lies="s1")):  # one lies
        refused = rotate("sign")
        assert refused.code == 75
        assert "another" in refused.err
    assert signing() == ("s1",)
    with resolvers(both, both):
        assert rotate("see").code == 0
        assert rotate("sign", "--by", "ana").code == 0
    assert signing() == ("s2", "s2-ed25519")
    world = open_world(load(Path("settings.toml")))
    assert world.second is not None
    assert world.second.selector == "s2-ed25519"
    waits = rotate("retire")
    assert waits.code == 75
    assert "keep it until" in waits.out
    assert Path("var/keys/experts.test.s1.pem").exists()
    retired = rotate("retire", "--force", "it leaked")
    assert retired.code == 0, retired.err
    assert 's1._domainkey.experts.test. 3600 IN TXT "v=DKIM1; p="' in retired.out
    assert not Path("var/keys/experts.test.s1.pem").exists()
    acts = command("audit", "show", "--json", "--config", "settings.toml").json
    told = {one["act"]: json.dumps(one) for one in acts}
    assert {"keys-made", "keys-sign", "keys-retired"} <= set(told)
    assert "ana" in told["keys-sign"]
    assert "it leaked" in told["keys-retired"]
    assert rotate().code == 0


def test_a_switch_by_force_needs_a_reason_and_writes_down_who_lacks_what(
    rotate: Command, command: Command
) -> None:
    assert rotate("publish").code == 0
    with resolvers(zone_of("s1")):
        assert rotate("sign", "--force", "").code == 75
        assert rotate("sign", "--force", "s1 is on a lost disk").code == 0
    assert signing() == ("s2", "s2-ed25519")
    (act,) = command("audit", "show", "--act", "keys-sign", "--json", "--config", "settings.toml").json
    assert "s1 is on a lost disk" in json.dumps(act)
    assert "not there" in json.dumps(act)


def test_the_zones_own_name_servers_are_asked_too(rotate: Command) -> None:
    assert rotate("publish").code == 0
    lagging = ZoneServer(read_zone(zone_of("s2", name_server=True)))
    with Served(lagging) as authority, resolvers(zone_of("s2", "s2-ed25519", name_server=True)):
        settings = load(Path("settings.toml"))
        keys = {one: key for one, key in readable_keys(settings).items() if one.startswith("s2")}
        port = int(authority.rpartition(":")[2])
        found = asyncio.run(look(settings, keys, None, authority_port=port))
        assert [one.seen for one in found if not one.authoritative] == [Seen.YES, Seen.YES]
        own = {one.selector: one.seen for one in found if one.authoritative}
    assert own == {"s2": Seen.YES, "s2-ed25519": Seen.NOT_THERE}


def test_a_trial_asks_its_own_zone_alone(command: Command) -> None:
    assert command("dns", "show").code == 0
    assert command("keys", "rotate", "publish").code == 0
    seen = command("keys", "rotate", "see", "--json")
    assert (seen.code, {one["server"] for one in seen.json}) == (0, {"our own zone file"})
    assert command("keys", "rotate", "sign").code == 0
    assert keys_in_force(load()).signs == Pair("s2", "s2-ed25519")


@pytest.mark.parametrize("step", ["write_state", "generate_key"])
def test_making_keys_that_was_cut_off_goes_on_where_it_stood(
    rotate: Command, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real = getattr(rotation_steps, step)

    def cut(*_: Any, **__: Any) -> None:
        raise SigningError("the power failed")

    monkeypatch.setattr(rotation_steps, step, cut)
    assert rotate("publish").code == 75
    monkeypatch.setattr(rotation_steps, step, real)
    assert signing() == ("s1",)
    assert rotate("publish").out.count("IN TXT") == 2
    assert keys_in_force(load(Path("settings.toml"))).next == Pair("s2", "s2-ed25519")


def test_a_switch_that_was_cut_off_has_not_happened(rotate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rotate("publish").code == 0
    with resolvers(zone_of("s2", "s2-ed25519")):
        with monkeypatch.context() as cut:
            cut.setattr(os, "replace", None)
            cut.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
            assert rotate("sign").code == 75
        assert signing() == ("s1",)
        assert rotate("sign").code == 0


def test_a_setting_that_is_changed_later_wins(rotate: Command, command: Command) -> None:
    assert rotate("publish").code == 0
    with resolvers(zone_of("s2", "s2-ed25519")):
        assert rotate("sign").code == 0
    config = Path("settings.toml")
    assert command("keys", "generate", "own", "--config", "settings.toml").code == 0
    config.write_text(config.read_text() + '[dkim]\nselector = "own"\n')
    assert signing() == ("own",)


@pytest.mark.parametrize("text", ["", "{}", "garbage"])
def test_a_spoilt_file_stops_the_start_with_what_to_do(rotate: Command, text: str) -> None:
    path = Path("var/keys/experts.test.rotation.json")
    path.write_text(text)
    ended = rotate()
    assert ended.code == 78
    assert "rotation.json" in ended.err
    assert "Restore it" in ended.err


def test_a_key_that_was_lost_after_a_rotation_is_not_made_anew(rotate: Command) -> None:
    assert rotate("publish").code == 0
    Path("var/keys/experts.test.s1.pem").unlink()
    ended = rotate()
    assert ended.code == 78
    assert "cannot be read" in ended.err


def test_an_ed25519_key_alone_does_not_sign(command: Command) -> None:
    assert command("dns", "show").code == 0
    refused = command("keys", "generate", "s1-ed25519", "--kind", "ed25519")
    assert refused.code == 64
    assert command("keys", "generate", "e1", "--kind", "ed25519").code == 0
    Path("s.toml").write_text('data_dir = "var"\n[dkim]\nselector = "e1"\n')
    ended = command("keys", "list", "--config", "s.toml")
    assert ended.code == 78
    assert "not RSA" in ended.err
