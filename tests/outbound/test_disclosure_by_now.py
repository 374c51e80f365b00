"""A mail that was written with its details and whose recipient may not get them any more when its turn comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from outbound.approval import SEND_WINDOW, digest_of, manifest_of
from outbound.compose import OutsideAddress, compose, stamp
from outbound.delivery import Handover
from outbound.disclosure import NO_DETAILS, Disclosure, DisclosureRules, Outlet, Way, decide, includes_details
from outbound.dispatch import prepare
from outbound.model import DeliveryState, Failure, MailKind, Reply
from outbound.schema import outgoing
from outbound.store import lease_due, queue_outgoing, retry_now, show_outbox
from outbound.store.approval_acts import approve, break_glass
from outbound.store.approvals import list_approvals, show_approval
from outbound.store.queue import FORBIDDEN
from tests.outbound.conftest import NOW, REQUEST
from threads.model import Permission, Tlp
from threads.schema import contacts
from threads.store.people import add_contact, allow_details, remove_contact, set_tlp

OPEN = DisclosureRules(Tlp.AMBER, Outlet.MX)
TLS = DisclosureRules(Tlp.AMBER, Outlet.TLS_SMARTHOST)
LATER = NOW + timedelta(minutes=5)


def queue(world, office, signer, incident, to, rules, key="k"):
    (one,) = compose(
        MailKind.REQUEST_FOR_CONTEXT,
        office=replace(office, disclosure=rules),
        thread=incident,
        contacts=[to],
        variables=REQUEST,
        stamps=[stamp(key, "experts.test", NOW)],
    )
    ready = asyncio.run(prepare(one, signer, world.check, NOW))
    return world.write(
        queue_outgoing, ready.signed, idempotency_key=key, actor="ana", checked=ready.checked, now=NOW
    ).outgoing_id


def allowed(world, contact, tlp=None):
    return world.write(set_tlp, world.write(allow_details, contact, Permission(NOW, "ben")), tlp)


# How the contact stood, how it stands by now, and the settings then and now; whether the mail goes, and under which need of TLS.
CHANGES = {
    "nothing": (None, True, None, True, OPEN, OPEN, True, False),
    "its permission was taken back": (None, True, None, False, OPEN, OPEN, False, False),
    "its permission was taken back, and the way is protected": (
        None,
        True,
        None,
        False,
        OPEN,
        TLS,
        True,
        True,
    ),
    "RED without a permission": (Tlp.GREEN, False, Tlp.RED, False, OPEN, TLS, False, False),
    "RED with a permission": (Tlp.GREEN, False, Tlp.RED, True, OPEN, OPEN, True, False),
    "AMBER after CLEAR": (Tlp.CLEAR, False, Tlp.AMBER, False, OPEN, OPEN, False, False),
    "bound to TLS, and RED": (Tlp.AMBER, False, Tlp.RED, False, TLS, TLS, False, True),
    "bound to TLS, and stricter": (Tlp.AMBER, False, Tlp.AMBER_STRICT, False, TLS, OPEN, True, True),
    "bound to TLS, and the settings loosened": (None, False, None, False, TLS, OPEN, True, True),
    "bound to TLS, and the contact loosened": (None, False, None, True, TLS, OPEN, True, True),
    "the settings made stricter": (None, False, None, False, DisclosureRules(Tlp.GREEN), OPEN, False, False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_contact_and_the_settings_are_asked_again_when_a_mail_is_leased(
    world, office, signer, record, change
):
    tlp, permitted, by_now, still, then, now, goes, needs_tls = CHANGES[change]
    contact = world.write(set_tlp, record.contact, tlp)
    if permitted:
        contact = allowed(world, contact, tlp)
    number = queue(world, office, signer, record.incident, contact, then)
    world.write(set_tlp, contact, by_now)
    world.write(allow_details, contact, Permission(NOW, "ben") if still else None)
    (mail,) = world.write(lease_due, NOW, "w", 5, now)
    assert mail.outgoing_id == number
    assert (mail.unapproved == "", mail.needs_tls) == (goes, needs_tls)
    assert goes or mail.unapproved.startswith(FORBIDDEN)


def test_one_that_may_not_go_waits_for_a_person_with_the_reason_however_it_is_brought_back(
    world, office, signer, record
):
    contact = allowed(world, record.contact, Tlp.RED)
    number = queue(world, office, signer, record.incident, contact, OPEN)
    world.transport.answers = [Handover("mx", Reply(450, "later"), Failure.REFUSED_FOR_NOW)]
    world.work()  # it was refused for now, and waits for its second try
    contact = world.write(allow_details, contact, None)
    world.clock.now = LATER
    world.work()
    for bring_back in (retry, approve_it, glass):
        (item,) = world.write(list_approvals)
        assert (item.outgoing_id, item.last_word) == (
            number,
            f"{FORBIDDEN}: TLP:RED, and the contact has not allowed details by mail",
        )
        bring_back(world, number, item.digest)
        world.work()
    assert len(world.transport.given) == 1
    world.write(allow_details, contact, Permission(NOW, "ben"))
    approve_it(world, number, world.write(show_approval, number).digest)
    world.work()
    assert world.write(show_outbox, number).item.state is DeliveryState.DELIVERED


def retry(world, number, _digest):
    world.write(retry_now, number, LATER)


def approve_it(world, number, digest):
    world.write(approve, number, digest, LATER, actor="ben")


def glass(world, number, digest):
    world.write(break_glass, number, digest, "it burns", LATER, actor="ana")


@pytest.mark.parametrize("way", ["left", "left, and came back"])
def test_the_permission_of_a_contact_who_left_is_gone(world, office, signer, record, way):
    contact = allowed(world, record.contact, Tlp.AMBER_STRICT)
    queue(world, office, signer, record.incident, contact, OPEN)
    world.write(remove_contact, contact, NOW)
    if way != "left":
        world.write(add_contact, contact.organisation_id, contact.address, "Ana", NOW, tlp=Tlp.AMBER_STRICT)
    (mail,) = world.write(lease_due, NOW, "w", 5, OPEN)
    assert mail.unapproved.startswith(FORBIDDEN)


def test_mail_without_details_and_mail_to_an_address_outside_are_judged_by_what_they_are(
    world, office, signer, record
):
    red = world.write(set_tlp, record.contact, Tlp.RED)
    queue(world, office, signer, record.incident, red, OPEN, "reduced")
    outside = OutsideAddress("csirt@land.test")
    queue(world, office, signer, record.incident, outside, DisclosureRules(Tlp.GREEN), "outside")
    reduced, other = world.write(
        lease_due, NOW, "w", 5, DisclosureRules(Tlp.AMBER_STRICT, Outlet.TLS_SMARTHOST)
    )
    assert (reduced.rcpt_to, reduced.unapproved) == ("ana@contoso.test", "")
    assert other.unapproved.startswith(f"{FORBIDDEN}: TLP:AMBER+STRICT, and the contact is outside")


def test_a_word_that_is_no_tlp_sends_nothing_and_stops_no_other_mail(world, office, signer, record):
    other = world.write(add_contact, record.incident.organisation_id, "bob@contoso.test", "Bob", NOW)
    queue(world, office, signer, record.incident, record.contact, TLS)
    world.write(
        lambda conn: conn.execute(
            update(contacts).where(contacts.c.id == record.contact.id).values(tlp="PINK")
        )
    )
    queue(world, office, signer, record.incident, other, TLS, "other")
    world.work()
    assert [one.rcpt_to for one in world.transport.given] == ["bob@contoso.test"]
    assert {one.state for one in world.outbox()} == {DeliveryState.UNREADABLE, DeliveryState.DELIVERED}


@pytest.mark.parametrize(
    "words", [None, "", NO_DETAILS.words, Disclosure(full=False, reason="TLP:RED").words]
)
def test_what_the_record_says_of_mail_without_details(words):
    assert not includes_details(words)
    assert includes_details(decide(Tlp.CLEAR, allowed=False, external=False, way=Way.OPEN).words)


@pytest.mark.parametrize(
    ("tlp", "permitted", "needs_tls"), [(Tlp.RED, True, True), (Tlp.GREEN, False, False)]
)
def test_what_a_contact_allowed_for_its_own_mailbox_goes_to_that_of_a_trial_under_checked_tls_only(
    world, office, signer, record, tlp, permitted, needs_tls
):
    contact = allowed(world, record.contact, tlp) if permitted else world.write(set_tlp, record.contact, tlp)
    trial = replace(signer, test_to="trial@desk.test")
    queue(world, office, trial, record.incident, contact, OPEN)
    (mail,) = world.write(lease_due, NOW, "w", 5, OPEN)
    assert (mail.rcpt_to, mail.unapproved, mail.needs_tls) == ("trial@desk.test", "", needs_tls)


# -- the condition is part of what was approved -------------------------------------------------------------
@pytest.mark.parametrize("loosened", [True, False])
def test_a_row_whose_need_of_tls_was_changed_is_not_what_was_approved(
    world, office, signer, record, loosened
):
    rules = TLS if loosened else DisclosureRules(Tlp.GREEN)
    number = queue(world, office, signer, record.incident, record.contact, rules)
    assert world.write(show_outbox, number).needs_tls is loosened
    world.write(lambda conn: conn.execute(update(outgoing).values(needs_tls=not loosened)))
    world.work()
    assert world.transport.given == []
    (item,) = world.write(list_approvals)
    assert "what was approved is not what would be sent" in item.last_word
    world.clock.now = LATER
    approve_it(world, number, item.digest)  # whoever approves it as it is now does so knowingly
    world.work()
    assert len(world.transport.given) == 1


def test_the_condition_changes_the_digest_and_mail_without_it_keeps_that_of_before():
    parts = (b"From: a@b.test\r\n\r\nx", "r@b.test", "c@d.test", NOW, NOW + SEND_WINDOW)
    plain, bound = manifest_of(*parts), manifest_of(*parts, needs_tls=True)
    assert plain.digest != bound.digest
    times = (one.isoformat(timespec="microseconds") for one in (NOW, NOW + SEND_WINDOW))
    assert plain.digest == digest_of(("r@b.test", "c@d.test", plain.sha256, "a@b.test", *times))
