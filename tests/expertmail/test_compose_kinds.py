"""The catalogue at the command line, and the settings that every mail shows."""

from __future__ import annotations

import json

from outbound.model import MailKind


def test_every_kind_is_listed_with_its_languages_and_variables(command) -> None:
    listed = command("compose", "kinds")
    assert listed.code == 0, listed.err
    for kind in MailKind:
        assert (f"\n{kind.value} " in f"\n{listed.out}") == kind.templated
    told = {one["kind"]: one for one in json.loads(command("compose", "kinds", "--json").out)}
    reminder = told["reminder"]
    assert reminder["languages"] == ["en", "ja"]
    assert reminder["automatic"]
    assert {one["name"]: one["type"] for one in reminder["variables"]}["since"] == "moment"
    assert told["managed-response"]["one_of"] == ["pending", "completed"]


def test_a_mail_shows_the_telephone_number_and_links_to_the_portal_and_nowhere_else(
    command, monkeypatch
) -> None:
    monkeypatch.setenv("EXPERTMAIL_MAIL__PORTAL_HOSTS", "portal.experts.test")
    monkeypatch.setenv("EXPERTMAIL_MAIL__PHONE", "+1 555 0199")
    assert command("dns", "show").code == 0
    assert command("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso").code == 0
    assert command("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins").code == 0
    to = ("INC-000001", "--to", "alice@contoso.test", "--preview", "--text")
    shown = command("compose", "reply", *to, "See https://portal.experts.test/x")
    assert shown.code == 0, shown.err
    assert "+1 555 0199" in shown.out
    assert "https://portal.experts.test/x" in shown.out
    refused = command("compose", "reply", *to, "See https://other.experts.test/x")
    assert refused.code != 0
    assert "configured hosts only" in refused.err
