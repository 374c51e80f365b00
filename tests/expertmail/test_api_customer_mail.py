"""A portal writes to a customer's contacts about no incident, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.expertmail.api_client import Portal
from tests.expertmail.test_api import ALL, gateway, mail_with, portal, token
from tests.proofs.served import Served

__all__ = ["gateway", "portal", "token"]
ANA = "ana@contoso.test"
ADDED = {"organisation": "Contoso", "kind": "contact-added", "to": [ANA]}
REVIEW = {
    "organisation": "Contoso",
    "kind": "service-review",
    "to": [ANA],
    "words": {
        "title": "First talk",
        "occasion": "readiness",
        "text": "When can we meet?",
        "manager": "Kim Park",
    },
}


@pytest.mark.parametrize(
    "form", [ADDED, {**ADDED, "kind": "test-notification"}, REVIEW], ids=lambda one: str(one["kind"])
)
def test_each_kind_about_no_incident_goes_to_a_contact_once(
    gateway: Served, portal: Portal, form: dict[str, Any]
) -> None:
    key = f"once {form['kind']}"
    sent = portal.ask("POST", "/notifications", form, key=key)
    assert sent.status == 202, sent.body
    (mail,) = sent.json["mails"]
    assert (mail["to"], mail["verdict"]) == (ANA, "genuine")
    raw = mail_with(gateway.outbox, mail["message_id"])
    assert b"INC-" not in raw
    again = portal.ask("POST", "/notifications", form, key=key)
    assert (again.status, again.headers["idempotent-replayed"]) == (202, "true")
    assert [one["number"] for one in again.json["mails"]] == [mail["number"]]
    other = portal.ask("POST", "/notifications", {**form, "to": ["bo@contoso.test"]}, key=key)
    assert other.status == 409, other.body
    shown = portal.ask("GET", f"/notifications/{mail['number']}").json
    assert (shown["kind"], shown["to"]) == (form["kind"], ANA)
    assert f'"{form["kind"]}-written"' in gateway.run("audit", "show", "--org", "Contoso", "--json")


def test_one_key_is_another_one_at_an_incident(portal: Portal) -> None:
    opened = portal.ask("POST", "/incidents", {"organisation": "Contoso", "title": "T"}, key="both").json
    form = {name: value for name, value in ADDED.items() if name != "organisation"}
    at = f"/incidents/{opened['reference']}/notifications"
    answers = [
        portal.ask("POST", at, form, key="both"),
        portal.ask("POST", "/notifications", ADDED, key="both"),
    ]
    assert [one.status for one in answers] == [202, 202]
    assert len({one.json["mails"][0]["number"] for one in answers}) == 2


def test_a_preview_needs_no_key_and_a_test_goes_to_us(gateway: Served, portal: Portal) -> None:
    before = gateway.run("outbox", "list", "--json")
    shown = portal.ask("POST", "/notifications", {**ADDED, "dry_run": True})
    assert shown.status == 200, shown.body
    assert "contact of Contoso" in shown.json["mails"][0]["text"]
    assert gateway.run("outbox", "list", "--json") == before
    tested = portal.ask("POST", "/notifications", {**ADDED, "test_to": "us@experts.test"}, key="tested")
    assert tested.json["mails"][0]["to"] == "us@experts.test", tested.body
    assert portal.ask("POST", "/notifications", ADDED).status == 400


@pytest.mark.parametrize(
    ("more", "status", "word"),
    [
        ({"organisation": "Nobody"}, 404, "nothing here"),
        ({"organisation": " "}, 422, "'organisation'"),
        ({"organisation": None}, 422, "null"),
        ({"reference": "INC-000001"}, 422, "'reference'"),
        ({"kind": "reply", "words": {"text": "Hi"}}, 422, "/api/v1/incidents/REFERENCE/notifications"),
        ({"kind": "reminder"}, 422, "'kind'"),
        ({"to": ["counsel@lawyers.test"]}, 422, "no contact of Contoso"),
        ({"to": ["ben@fabrikam.test"]}, 422, "no contact of Contoso"),
        ({"to": ["counsel@lawyers.test"], "outside": "they asked"}, 422, "leave out 'outside'"),
        ({"to": []}, 422, "'to'"),
        ({"test_to": "us@elsewhere.test"}, 422, "address of ours"),
        ({"kind": "service-review", "words": {"text": "Hi"}}, 422, "title"),
        ({"send_before": "2001-01-01T00:00Z"}, 422, "over already"),
    ],
    ids=lambda value: repr(value)[:60],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_does_not_fit_is_refused_in_words(
    portal: Portal, more: dict[str, Any], status: int, word: str, *, dry_run: bool
) -> None:
    said = portal.ask("POST", "/notifications", {**ADDED, **more, "dry_run": dry_run}, key=f"odd {more}"[:90])
    assert said.status == status, said.body
    assert word in said.json["error"]


def test_a_token_for_one_customer_writes_to_that_one(gateway: Served, token: Callable[..., str]) -> None:
    limited = Portal(gateway.console_port, token(*ALL, orgs=("Contoso",)))
    assert limited.ask("POST", "/notifications", ADDED, key="mine").status == 202
    theirs = {**ADDED, "organisation": "Fabrikam", "to": ["ben@fabrikam.test"]}
    for dry_run in (True, False):
        said = limited.ask("POST", "/notifications", {**theirs, "dry_run": dry_run}, key="theirs")
        assert said.status == 404, said.body


def test_the_field_organisation_is_described(portal: Portal) -> None:
    described = portal.ask("GET", "/openapi.json").json
    told = described["paths"]["/api/v1/notifications"]["post"]
    form = described["components"]["schemas"]["NewCustomerNotification"]
    assert set(form["required"]) == {"organisation", "kind", "to"}
    (key,) = (one for one in told["parameters"] if one["name"] == "Idempotency-Key")
    assert not key["required"]
