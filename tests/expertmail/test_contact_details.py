"""How far details may go to a contact, at the command line: kept with who and when, and seen in preview and outbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from expertmail.post_room import disclosure_rules, office_of
from expertmail.settings import Settings, load
from expertmail.world import open_world
from outbound.disclosure import Outlet, Way
from threads.model import Tlp

Command = Callable[..., Any]
QUESTION = "Was the device CONTOSO-LT-0042 yours?"
ASK = ("compose", "request", "INC-000001", "--to", "alice@contoso.test", "--question", QUESTION)


@pytest.fixture
def world(command: Command) -> Command:
    """A customer with a contact and an incident."""
    assert command("dns", "show").code == 0  # makes the world, as serve does
    assert command("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso").code == 0
    assert command("incidents", "open", "--org", "contoso", "--title", "Sign-ins from Atlantis").code == 0
    return command


def acts(world: Command) -> list[tuple[str, str]]:
    return [(one["act"], one["by"]) for one in world("audit", "show", "--json").json][::-1]


def test_tlp_and_permission_are_shown_and_each_permission_is_an_act_of_its_own(world: Command) -> None:
    before = len(acts(world))
    changed = world(
        "contacts", "change", "alice@contoso.test", "--tlp", "amber+strict", "--allow-details", "--as", "ana"
    )
    assert changed.out == (
        "alice@contoso.test: tlp: default -> AMBER+STRICT; details_allowed: no -> yes.\n"
    ), changed.err
    shown = world("contacts", "show", "alice@contoso.test")
    assert "AMBER+STRICT" in shown.out
    assert "recorded by ana" in shown.out
    (told,) = world("contacts", "show", "alice@contoso.test", "--json").json
    assert told["tlp"] == "AMBER+STRICT"
    assert told["details_allowed"]["by"] == "ana"
    assert (
        world(
            "contacts", "change", "alice@contoso.test", "--tlp", "default", "--forbid-details", "--as", "ben"
        ).code
        == 0
    )
    (told,) = world("contacts", "list", "--json").json
    assert (told["tlp"], told["details_allowed"]) == (None, None)
    assert acts(world)[before:] == [
        ("details-allowed", "ana"),
        ("contact-changed", "ana"),
        ("details-forbidden", "ben"),
        ("contact-changed", "ben"),
    ]


def test_a_new_contact_may_have_both_from_the_start(world: Command) -> None:
    added = world(
        "contacts", "add", "bob@contoso.test", "--name", "Bob", "--org", "Contoso", "--tlp", "RED", "--allow-details",
        "--as", "ana", "--json",
    )  # fmt: skip
    assert added.json["tlp"] == "RED"
    assert added.json["details_allowed"]["by"] == "ana"
    assert acts(world)[-1] == ("details-allowed", "ana")


def test_a_tlp_that_is_none_is_refused(world: Command) -> None:
    ended = world("contacts", "change", "alice@contoso.test", "--tlp", "WHITE")
    assert ended.code == 64
    assert "amber" in ended.err.lower()


def test_preview_and_outbox_say_whether_details_are_in_and_why(world: Command) -> None:
    whole = world(*ASK, "--preview")
    assert QUESTION in whole.out
    assert "details included: TLP:AMBER, and it is written to a file on this machine" in " ".join(
        whole.out.split()
    )
    world("contacts", "change", "alice@contoso.test", "--tlp", "RED")
    less = world(*ASK, "--preview")
    for word in ("CONTOSO-LT-0042", "Atlantis"):
        assert word not in less.out
    why = "TLP:RED, and the contact has not allowed details by mail"
    assert why in " ".join(less.out.split())
    assert why in " ".join(less.err.split())
    (told,) = world(*ASK, "--preview", "--json").json
    assert told["disclosure"] == f"details left out: {why}"
    assert world(*ASK).code == 0
    shown = world("outbox", "show", "1")
    assert why in " ".join(shown.out.split())
    assert QUESTION in shown.out, "the record has what was left out"
    raw = world("outbox", "show", "1", "--raw").out
    assert "CONTOSO-LT-0042" not in raw
    assert world("outbox", "show", "1", "--json").json["disclosure"] == f"details left out: {why}"


def settings_of(folder: Path, text: str) -> Settings:
    file = folder / "expertmail.toml"
    file.write_text(text, "ascii")
    return load(file)


@pytest.mark.parametrize(
    ("text", "tlp", "outlet", "way"),
    [
        ("", Tlp.AMBER, Outlet.FILES, Way.HERE),
        ('[mail]\ndefault_tlp = "GREEN"\n', Tlp.GREEN, Outlet.FILES, Way.HERE),
        ('[delivery]\nmode = "smarthost"\n', Tlp.AMBER, Outlet.TLS_SMARTHOST, Way.SMARTHOST),
        (
            '[delivery]\nmode = "smarthost"\nsmarthost_tls = "tls"\n',
            Tlp.AMBER,
            Outlet.TLS_SMARTHOST,
            Way.SMARTHOST,
        ),
        ('[delivery]\nmode = "smarthost"\nsmarthost_tls = "none"\n', Tlp.AMBER, Outlet.SMARTHOST, Way.OPEN),
        ('[delivery]\nmode = "mx"\n', Tlp.AMBER, Outlet.MX, Way.OPEN),
        ('[delivery]\nmode = "mx"\nmx_tls = "required"\n', Tlp.AMBER, Outlet.MX, Way.VERIFIED),
        (
            '[delivery]\nmode = "mx"\ntls_required_domains = ["contoso.test"]\n',
            Tlp.AMBER,
            Outlet.MX,
            Way.VERIFIED,
        ),
        (
            '[delivery]\nmode = "mx"\nmx_tls = "required"\ntls_optional_domains = ["contoso.test"]\n',
            Tlp.AMBER,
            Outlet.MX,
            Way.OPEN,
        ),
    ],
)
def test_the_settings_say_what_protects_the_way(
    command: Command, tmp_path: Path, text: str, tlp: Tlp, outlet: Outlet, way: Way
) -> None:
    del command  # no settings from the environment
    rules = disclosure_rules(settings_of(tmp_path, text))
    assert (rules.default_tlp, rules.outlet, rules.way("alice@contoso.test")) == (tlp, outlet, way)


def test_the_gateways_own_office_keeps_the_rule(command: Command, tmp_path: Path) -> None:
    del command
    world = open_world(settings_of(tmp_path, f'data_dir = "{tmp_path}/var"\n[mail]\ndefault_tlp = "RED"\n'))
    assert office_of(world).disclosure.default_tlp is Tlp.RED
