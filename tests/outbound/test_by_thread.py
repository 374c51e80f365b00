"""Our own mail as a part of a thread: found under the name that a smarthost gave it, and moved with all that comes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outbound.compose import compose, stamp
from outbound.model import MailKind
from outbound.store import lease_due, queue_outgoing, record_attempt
from outbound.store.by_thread import follow_to_thread, headers_of_thread
from tests.outbound.conftest import NOW, REQUEST
from tests.outbound.test_store import GENUINE, after, attempt
from threads import store
from threads.match import match
from threads.model import Direction, ThreadKeys
from threads.store.moving import move_mail
from threads.store.thread import open_incident

SES = "010001968f3b2c1d-5a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-000000"
RENAMED = f"{SES}@eu-central-1.amazonses.com"
OWN = "t1@experts.test"


@pytest.fixture
def do(record):
    def run(function, *args, **kwargs):
        with record.database.writing() as conn:
            return function(conn, *args, **kwargs)

    return run


@pytest.fixture(autouse=True)
def queued(do, office, record, signer):
    """A question on the incident, signed and ready to be sent."""
    (mail,) = compose(
        MailKind.REQUEST_FOR_CONTEXT,
        office=office,
        thread=record.incident,
        contacts=[record.contact],
        variables=REQUEST,
        stamps=[stamp("t1", "experts.test", NOW)],
    )
    do(queue_outgoing, signer.sign(mail, NOW), idempotency_key="k1", actor="ana", checked=GENUINE, now=NOW)


def delivered(do, host="email-smtp.eu-central-1.amazonaws.com"):
    (delivery,) = do(lease_due, NOW, "worker", 10)
    made = replace(attempt(), host=host, reply=replace(attempt().reply, text=f"Ok {SES}"))
    assert do(record_attempt, delivery.outgoing_id, "worker", made, after(delivery, made))


def thread_named_by(do, *message_ids):
    keys = ThreadKeys(None, message_ids)
    return match(keys, do(store.candidates, keys, None))


def test_an_answer_to_the_name_that_the_smarthost_gave_our_mail_finds_its_thread(do, record):
    delivered(do)
    found = thread_named_by(do, RENAMED)
    assert found.thread_id == record.incident.id
    assert found.signals[0].direction is Direction.HOP
    assert (
        found.reason
        == "it answers a mail of ours on INC-000001, by the Message-ID that our smarthost gave it"
    )


def test_what_any_other_server_says_names_nothing(do):
    delivered(do, host="mx.contoso.test")
    assert thread_named_by(do, RENAMED, f"{SES}@email.amazonses.com").thread_id is None


def test_a_moved_mail_takes_its_other_name_and_what_comes_of_it_along(do, record):
    delivered(do)
    other = do(open_incident, record.incident.organisation_id, "Another one", NOW)
    renamed = do(follow_to_thread, f"<{OWN}>", other.id)
    assert renamed == (RENAMED,)
    do(move_mail, OWN, other, NOW, by="Robin", also=renamed)
    assert thread_named_by(do, RENAMED).thread_id == other.id
    assert thread_named_by(do, OWN).thread_id == other.id
    assert list(do(headers_of_thread, other.id)) == [OWN]
    assert do(headers_of_thread, record.incident.id) == {}


def test_what_is_no_mail_of_ours_changes_nothing(do, record):
    assert do(follow_to_thread, "somebody@else.test", record.incident.id) == ()
    assert do(follow_to_thread, "", record.incident.id) == ()
