"""Letters without a command line: as a server's threads compose and post them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from expertmail.letters import (
    Letter,
    LetterRefused,
    Posted,
    RefusalKind,
    compose_letter,
    post_letter,
)
from expertmail.settings import load
from expertmail.world import World, database_url, open_world
from outbound.model import DeliveryState, MailKind, SelfCheck
from outbound.store import list_outbox
from threads.store.engine import Database, open_database
from threads.store.thread import thread_by_reference, timeline_of

ALICE = "alice@contoso.test"
HELLO = Letter(MailKind.REPLY, "INC-000001", (ALICE,), {"text": "We saw it."}, actor="portal")


@dataclass
class Office:
    """A world and its record."""

    world: World
    database: Database

    def post(self, letter: Letter) -> Posted:
        """As a thread of a server does; what judges is not what is tested."""

        async def check(raw: bytes) -> SelfCheck:
            return SelfCheck(genuine=True, verdict="genuine")

        return asyncio.run(post_letter(self.world, self.database, letter, datetime.now(UTC), check))

    def queued(self) -> int:
        with self.database.reading() as conn:
            return len(list_outbox(conn))


@pytest.fixture
def office(command: Callable[..., Any]) -> Iterator[Office]:
    assert command("dns", "show").code == 0
    assert command("contacts", "add", ALICE, "--name", "Alice", "--org", "Contoso").code == 0
    assert command("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins").code == 0
    assert command("outbox", "suppress", "left@contoso.test", "--reason", "left").code == 0
    settings = load(None)
    database = open_database(database_url(settings))
    yield Office(open_world(settings), database)
    database.close()


def test_a_letter_is_posted_with_the_verdict_of_our_own_verifier(office: Office) -> None:
    posted = asyncio.run(post_letter(office.world, office.database, HELLO, datetime.now(UTC)))
    (mail,) = posted.mails
    assert (mail.number, mail.address, mail.state) == (1, ALICE, DeliveryState.QUEUED)
    assert (mail.verdict, mail.withheld, posted.known, posted.notes) == ("genuine", False, False, ())
    assert mail.subject == "[INC-000001] Re: Odd sign-ins"


def test_composing_queues_nothing(office: Office) -> None:
    composed = compose_letter(office.world, office.database, HELLO, datetime.now(UTC))
    assert [mail.rcpt_to for mail in composed.mails] == [ALICE]
    assert office.queued() == 0


@pytest.mark.parametrize(
    ("letter", "kind"),
    [
        (replace(HELLO, reference="INC-000009"), RefusalKind.NOT_FOUND),
        (replace(HELLO, to=("bob@contoso.test",)), RefusalKind.NOT_FOUND),
        (replace(HELLO, to=("left@contoso.test",), outside="they asked"), RefusalKind.WITHHELD),
        (replace(HELLO, to=()), RefusalKind.BAD_DATA),
        (replace(HELLO, to=("no address",), outside="they asked"), RefusalKind.BAD_DATA),
        (replace(HELLO, to=("a@b.test\r\nBcc: c@d.test",), outside="they asked"), RefusalKind.BAD_DATA),
        (replace(HELLO, words={}), RefusalKind.BAD_DATA),
        (replace(HELLO, words={"text": ("a", "list")}), RefusalKind.BAD_DATA),
        (replace(HELLO, kind=MailKind.REMINDER), RefusalKind.BAD_DATA),
        (replace(HELLO, kind=MailKind.RELAYED), RefusalKind.BAD_DATA),
        (replace(HELLO, kind=MailKind.DELIVERY_STATUS), RefusalKind.BAD_DATA),
        (replace(HELLO, key="k" * 101), RefusalKind.BAD_DATA),
        (replace(HELLO, key="a\nb"), RefusalKind.BAD_DATA),
        (replace(HELLO, test_to="ana@elsewhere.test"), RefusalKind.BAD_DATA),
        (replace(HELLO, not_before=datetime(2100, 1, 1)), RefusalKind.BAD_DATA),  # noqa: DTZ001 -- is refused
        (replace(HELLO, not_after=datetime(2020, 1, 1, tzinfo=UTC)), RefusalKind.BAD_DATA),
        (
            replace(HELLO, break_glass="now", not_before=datetime.now(UTC) + timedelta(hours=1)),
            RefusalKind.BAD_DATA,
        ),
    ],
)
def test_a_letter_that_is_not_sent_says_why_and_of_which_kind_that_is(
    office: Office, letter: Letter, kind: RefusalKind
) -> None:
    with pytest.raises(LetterRefused) as refused:
        office.post(letter)
    assert refused.value.kind is kind
    assert refused.value.sentence.endswith(".")
    assert "\n" not in refused.value.sentence
    assert office.queued() == 0


def test_whoever_asks_again_after_the_window_hears_that_it_was_queued(office: Office) -> None:
    now = datetime.now(UTC)
    letter = replace(HELLO, key="k1", not_after=now + timedelta(hours=1))
    assert not office.post(letter).known
    again = asyncio.run(post_letter(office.world, office.database, letter, now + timedelta(days=1)))
    assert again.known
    with pytest.raises(LetterRefused, match="over already"):
        asyncio.run(
            post_letter(office.world, office.database, replace(letter, key="k2"), now + timedelta(days=1))
        )


def test_one_key_queues_one_mail_however_many_ask_at_a_time(office: Office) -> None:
    letter = replace(HELLO, key="k1", outside="for the record", to=(ALICE, "counsel@lawyers.test"))
    with ThreadPoolExecutor(8) as threads:
        posted = list(threads.map(office.post, [letter] * 16))
    assert {tuple(mail.number for mail in one.mails) for one in posted} == {(1, 2)}
    assert sorted(one.known for one in posted) == [False, *[True] * 15]
    assert office.queued() == 2
    with office.database.reading() as conn:
        entries = timeline_of(conn, thread_by_reference(conn, "INC-000001").id)
    assert sum("outside the customer's contacts" in entry.text for entry in entries) == 1
    with pytest.raises(LetterRefused) as refused:
        office.post(replace(letter, outside="for another reason"))
    assert refused.value.kind is RefusalKind.CONFLICT


def test_no_part_of_a_request_changes_under_its_key_unseen(office: Office) -> None:
    letter = replace(HELLO, key="k1")
    assert not office.post(letter).known
    soon = datetime.now(UTC) + timedelta(hours=1)
    for other in (
        {"to": ("counsel@lawyers.test",), "outside": "they asked"},
        {"words": {"text": "We saw it twice."}},
        {"kind": MailKind.REPLY_POSTED, "words": {"place": "chat"}},
        {"test_to": "desk@experts.test"},
        {"not_before": soon},
        {"not_after": soon},
        {"outside": "they asked"},
        {"break_glass": "it spreads"},
    ):
        with pytest.raises(LetterRefused) as refused:
            office.post(replace(letter, **other))
        assert refused.value.kind is RefusalKind.CONFLICT, other
    assert office.post(letter).known
    assert office.queued() == 1


def test_what_breaks_the_glass_may_still_have_an_end(office: Office) -> None:
    letter = replace(HELLO, break_glass="it spreads", not_after=datetime.now(UTC) + timedelta(hours=1))
    assert len(office.post(letter).mails) == 1


@pytest.mark.parametrize("older", ["incident-notification", "service-review"])
def test_an_address_of_two_kinds_of_contacts_gets_each_mail_as_the_contact_of_its_kind(
    office: Office, command: Callable[..., Any], older: str
) -> None:
    options = {
        "incident-notification": ("--language", "en", "--tlp", "RED"),
        "service-review": ("--language", "ja", "--tlp", "CLEAR"),
    }
    for kind in sorted(options, key=lambda kind: kind != older):
        added = command(
            "contacts",
            "add",
            "bo@contoso.test",
            "--name",
            "Bo",
            "--org",
            "Contoso",
            "--kind",
            kind,
            *options[kind],
        )
        assert added.code == 0, added
    review = {"occasion": "operations", "text": "All is well.", "manager": "Mo"}
    for kind, words, language, full in (
        (MailKind.REPLY, {"text": "We saw it."}, "en", False),
        (MailKind.PORTAL_NOTICE, {}, "en", None),
        (MailKind.SERVICE_REVIEW, review, "ja", True),
        (MailKind.CONTACT_ADDED, {}, "en", None),
        (MailKind.CONTACT_ADDED, {"role": "service-review"}, "ja", None),
    ):
        letter = replace(HELLO, kind=kind, words=words, to=("BO@contoso.test",))
        (mail,) = compose_letter(office.world, office.database, letter, datetime.now(UTC)).mails
        assert mail.language == language, (kind, words)
        assert full is None or mail.disclosure.full is full, kind


@pytest.fixture
def others(office: Office, command: Callable[..., Any]) -> Office:
    """Customers beside Contoso: one whose mail somebody reads, with a partner at Contoso, and one who is well."""
    for arguments in (
        (
            "contacts",
            "add",
            "ben@fabrikam.test",
            "--name",
            "Ben",
            "--org",
            "Fabrikam",
            "--domain",
            "fabrikam.test",
        ),
        ("contacts", "add", "partner@fabrikam.test", "--name", "Pat", "--org", "Contoso"),
        (
            "contacts",
            "add",
            "mssp@provider.test",
            "--name",
            "Pia",
            "--org",
            "Fabrikam",
            "--phone",
            "+1 555 0123",
        ),
        ("contacts", "add", "wim@wingtip.test", "--name", "Wim", "--org", "Wingtip"),
        ("orgs", "distrust", "Fabrikam", "--reason", "stolen session"),
    ):
        assert command(*arguments).code == 0, arguments
    return office


@pytest.mark.parametrize(
    "address",
    [
        "ben@fabrikam.test",  # their contact
        "partner@fabrikam.test",  # our contact at their domain
        "nobody@fabrikam.test",  # nobody at their domain
        "it@mail.fabrikam.test",  # below it
        "mssp@provider.test",  # their contact elsewhere
        "left@contoso.test",  # suppressed, and nobody's contact
    ],
)
def test_who_may_not_hear_of_a_customer_is_refused_alike_and_without_a_name(
    others: Office, address: str
) -> None:
    letter = replace(HELLO, to=(address,), outside="they asked")
    with pytest.raises(LetterRefused, match=r"marked untrusted|is suppressed"):
        others.post(letter)
    with others.database.reading() as conn:
        own = frozenset({thread_by_reference(conn, "INC-000001").organisation_id})
    with pytest.raises(LetterRefused) as refused:
        others.post(replace(letter, customers=own))
    assert refused.value.sentence == f"{address} gets no mail from here at present; ask the experts why."
    assert refused.value.kind is RefusalKind.WITHHELD
    assert others.queued() == 0


def test_a_note_names_no_customer_of_whom_its_writer_may_not_hear(others: Office) -> None:
    letter = replace(HELLO, to=("wim@wingtip.test",), outside="they asked")
    (note,) = others.post(letter).notes[:1]
    assert "Wingtip" in note
    with others.database.reading() as conn:
        own = frozenset({thread_by_reference(conn, "INC-000001").organisation_id})
    told = others.post(replace(letter, customers=own)).notes
    assert not any("Wingtip" in one for one in told)
    nobody = others.post(replace(letter, to=("who@nowhere.test",), customers=own)).notes
    assert [one.replace("who@nowhere", "wim@wingtip") for one in nobody] == list(told)


def test_who_may_not_hear_of_all_still_hears_of_its_own_customer(
    office: Office, command: Callable[..., Any]
) -> None:
    with office.database.reading() as conn:
        own = frozenset({thread_by_reference(conn, "INC-000001").organisation_id})
    assert command("outbox", "suppress", ALICE, "--reason", "left").code == 0
    with pytest.raises(LetterRefused, match="is suppressed"):
        office.post(replace(HELLO, customers=own))
    assert command("outbox", "allow", ALICE).code == 0
    assert command("orgs", "distrust", "Contoso", "--reason", "stolen session").code == 0
    with pytest.raises(LetterRefused, match="The mail of Contoso is marked untrusted"):
        office.post(replace(HELLO, customers=own))


SPELT = ("mo@b\u00fccher.test", "MO@xn--bcher-kva.TEST", "Mo@B\u00dcCHER.test")


def test_two_spellings_of_one_address_are_one_mail_and_are_named_once(office: Office) -> None:
    for to in (SPELT, (ALICE, *SPELT, ALICE.upper())):
        letter = replace(HELLO, to=to, outside="they asked")
        composed = compose_letter(office.world, office.database, letter, datetime.now(UTC))
        assert len(composed.mails) == (1 if to == SPELT else 2)
        office.post(letter)
    assert office.queued() == 3
    with office.database.reading() as conn:
        entries = timeline_of(conn, thread_by_reference(conn, "INC-000001").id)
    notes = [entry.text for entry in entries if entry.text is not None and "they asked" in entry.text]
    assert len(notes) == 2
    assert all(note.count("@") == 1 for note in notes)


@pytest.mark.parametrize("written", SPELT)
@pytest.mark.parametrize("stored", SPELT)
def test_an_address_is_the_same_however_its_domain_is_written(
    office: Office, command: Callable[..., Any], stored: str, written: str
) -> None:
    letter = replace(HELLO, to=(written,))
    assert command("orgs", "add", "Fabrikam").code == 0
    assert command("contacts", "add", stored, "--name", "Mo", "--org", "Fabrikam").code == 0
    with pytest.raises(LetterRefused, match="no contact"):
        office.post(letter)
    outside = replace(letter, outside="they asked")
    composed = compose_letter(office.world, office.database, outside, datetime.now(UTC))
    assert any("Fabrikam" in note for note in composed.notes)
    assert command("orgs", "distrust", "Fabrikam", "--reason", "stolen session").code == 0
    with pytest.raises(LetterRefused, match="The mail of Fabrikam is marked untrusted"):
        office.post(outside)
    assert command("contacts", "add", stored, "--name", "Mo", "--org", "Contoso", "--tlp", "RED").code == 0
    (mail,) = compose_letter(office.world, office.database, letter, datetime.now(UTC)).mails
    assert not mail.disclosure.full
    assert command("outbox", "suppress", stored, "--reason", "left").code == 0
    with pytest.raises(LetterRefused, match="is suppressed"):
        office.post(letter)
    assert office.queued() == 0
