"""Least disclosure: who gets the details by mail, that a mail without them holds none, and that none goes where it may not."""

from __future__ import annotations

import asyncio
import email
import email.policy
import html
import itertools
import ssl
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outbound.answers import questions_in
from outbound.compose import OutsideAddress, compose, compose_automatic, stamp
from outbound.delivery import Tls, smarthost
from outbound.disclosure import NO_DETAILS, DisclosureRules, Outlet, Way, decide, disclosure_to
from outbound.dispatch import prepare
from outbound.model import AutomaticOrder, DeliveryState, Failure, MailKind, TlsLevel
from outbound.mx import MxTransport
from outbound.render import LEFT_OUT
from outbound.store import lease_due, queue_outgoing, retry_now, show_outbox
from outbound.template_files import load_templates
from outbound.tls_policy import tls_policy
from outbound.variables import Source, VariableType
from tests.outbound.catalogue import FIGURES, FORMS, PORTAL, catalogue_mail, forms, reduced_mail
from tests.outbound.conftest import LETTERHEAD, NOW, REQUEST
from tests.outbound.test_delivery import FAST, HELLO, Sink, mail, run, script, sink
from tests.outbound.test_reminders_recorded import DAY, ask, look, sent, work_at
from threads.model import EntryKind, Permission, Tlp
from threads.model.tasks import TaskSource
from threads.store.people import add_contact, allow_details, find_contacts, remove_contact, set_tlp
from threads.store.tasks import add_task
from verifier.evidence import Answer, AnswerStatus, Question

# -- the rule ---------------------------------------------------------------------------------------------
WAYS = (Way.HERE, Way.VERIFIED, Way.SMARTHOST, Way.OPEN)
# By TLP, by whether the contact allows details, and by whether it is outside the organisation: what goes each of these ways.
# F: the details; T: the details, for the sake of TLS; a dot: no details.
TABLE = {
    (Tlp.RED, False, False): "....",
    (Tlp.RED, False, True): "....",
    (Tlp.RED, True, False): "FFFF",
    (Tlp.RED, True, True): "FFFF",
    (Tlp.AMBER_STRICT, False, False): "TTT.",
    (Tlp.AMBER_STRICT, False, True): "....",
    (Tlp.AMBER_STRICT, True, False): "FFFF",
    (Tlp.AMBER_STRICT, True, True): "FFFF",
    (Tlp.AMBER, False, False): "TTT.",
    (Tlp.AMBER, False, True): "TTT.",
    (Tlp.AMBER, True, False): "FFFF",
    (Tlp.AMBER, True, True): "FFFF",
    (Tlp.GREEN, False, False): "FFFF",
    (Tlp.GREEN, False, True): "FFFF",
    (Tlp.GREEN, True, False): "FFFF",
    (Tlp.GREEN, True, True): "FFFF",
    (Tlp.CLEAR, False, False): "FFFF",
    (Tlp.CLEAR, False, True): "FFFF",
    (Tlp.CLEAR, True, False): "FFFF",
    (Tlp.CLEAR, True, True): "FFFF",
}


def test_the_table_has_every_case():
    assert set(TABLE) == set(itertools.product(Tlp, (False, True), (False, True)))


@pytest.mark.parametrize(("tlp", "allowed", "external"), TABLE)
def test_details_go_by_tlp_permission_and_way(tlp, allowed, external):
    for way, wanted in zip(WAYS, TABLE[tlp, allowed, external], strict=True):
        found = decide(tlp, allowed=allowed, external=external, way=way)
        assert (found.full, found.needs_tls) == (wanted in "FT", wanted == "T"), way
        assert f"TLP:{tlp.value}" in found.reason
        assert found.words.startswith("details included: " if found.full else "details left out: ")


REQUIRED = tls_policy(
    required=False, required_domains=["contoso.test"], optional_domains=["lab.contoso.test"]
)
EVERYWHERE = tls_policy(required=True, required_domains=(), optional_domains=["old.test"])


@pytest.mark.parametrize(
    ("rules", "address", "way"),
    [
        (DisclosureRules(Tlp.AMBER, Outlet.FILES), "a@contoso.test", Way.HERE),
        (DisclosureRules(Tlp.AMBER, Outlet.TLS_SMARTHOST), "a@contoso.test", Way.SMARTHOST),
        (DisclosureRules(Tlp.AMBER, Outlet.SMARTHOST), "a@contoso.test", Way.OPEN),
        # What is required of recipients' servers says nothing of a smarthost without TLS.
        (DisclosureRules(Tlp.AMBER, Outlet.SMARTHOST, EVERYWHERE), "a@contoso.test", Way.OPEN),
        (DisclosureRules(Tlp.AMBER, Outlet.MX), "a@contoso.test", Way.OPEN),
        (DisclosureRules(Tlp.AMBER, Outlet.MX, REQUIRED), "a@Contoso.TEST", Way.VERIFIED),
        (DisclosureRules(Tlp.AMBER, Outlet.MX, REQUIRED), "a@sub.contoso.test", Way.VERIFIED),
        (DisclosureRules(Tlp.AMBER, Outlet.MX, REQUIRED), "a@lab.contoso.test", Way.OPEN),
        (DisclosureRules(Tlp.AMBER, Outlet.MX, REQUIRED), "a@notcontoso.test", Way.OPEN),
        (DisclosureRules(Tlp.AMBER, Outlet.MX, EVERYWHERE), "a@x.test", Way.VERIFIED),
        (DisclosureRules(Tlp.AMBER, Outlet.MX, EVERYWHERE), "a@old.test", Way.OPEN),
    ],
)
def test_the_way_is_protected_as_far_as_the_settings_require_it(rules, address, way):
    assert rules.way(address) is way


def test_a_contacts_own_tlp_wins_and_who_is_no_contact_is_outside(record):
    amber = DisclosureRules(Tlp.AMBER, Outlet.MX)
    assert not disclosure_to("ana@contoso.test", record.contact, amber).full
    assert disclosure_to("ana@contoso.test", replace(record.contact, tlp=Tlp.GREEN), amber).full
    green = DisclosureRules(Tlp.GREEN, Outlet.MX)
    assert disclosure_to("ana@contoso.test", record.contact, green).full
    assert not disclosure_to("ana@contoso.test", replace(record.contact, tlp=Tlp.AMBER), green).full
    strict = DisclosureRules(Tlp.AMBER_STRICT, Outlet.TLS_SMARTHOST)
    assert disclosure_to("ana@contoso.test", record.contact, strict).full
    assert not disclosure_to("stranger@x.test", None, strict).full


# -- what a mail without details holds --------------------------------------------------------------------
class _Office:
    letterhead = LETTERHEAD
    templates = load_templates()


DETAILED = [
    form
    for form in forms(_Office)
    if _Office.templates.holds_details(form[0]) and form[0] is not MailKind.ALERT
]
WORDS = st.text(st.sampled_from("abcXYZ0189._-@\\漢字ホスト名é"), min_size=12, max_size=60).filter(
    lambda word: "www." not in word and not word.isspace() and word.strip() == word
)
FREE = {VariableType.LINE, VariableType.TEXT, VariableType.LINES}


def shown(raw: bytes) -> str:
    """All that a mail holds, decoded: fields, text, HTML without its tags' escapes; without blanks, since lines are filled."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    told = [f"{name}: {value}" for name, value in message.items()]
    for part in message.walk():
        told += [str(value) for value in part.values()]
        if not part.is_multipart():
            told.append(html.unescape(part.get_content()))
    return "".join("".join(told).split()) + "".join(raw.decode("ascii").split())


def written(variables, declared):
    """The single texts of the variables that somebody wrote."""
    for one in declared:
        if one.source is not Source.OURS and one.name in variables:
            value = variables[one.name]
            yield from (value if isinstance(value, tuple) else (value,))


def test_only_kinds_that_somebody_words_have_details():
    assert {kind for kind, _name, _language in DETAILED} == {
        MailKind.REQUEST_FOR_CONTEXT,
        MailKind.REPLY,
        MailKind.MANAGED_RESPONSE,
        MailKind.REMINDER,
        MailKind.MANUAL_DETECTION,
        MailKind.REPLY_POSTED,
        MailKind.SERVICE_REVIEW,
        MailKind.CODE_ANSWER,
    }


@pytest.mark.parametrize(("kind", "name", "language"), DETAILED)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_word_that_somebody_wrote_is_in_a_mail_without_details(kind, name, language, data):
    declared = _Office.templates.get(kind, language).variables
    given_words = FORMS[name][2 if language == "ja" else 1]
    words = {}
    for one in declared:
        if one.source is Source.OURS or one.name not in given_words:
            continue
        if one.type is VariableType.FIGURES:  # the same bytes as without them are looked for below
            continue
        assert one.type in FREE, f"{one.name} is a detail of a type that this test does not fill"
        if one.type is VariableType.LINES:
            words[one.name] = tuple(data.draw(st.lists(WORDS, min_size=1, max_size=3)))
        else:
            words[one.name] = data.draw(WORDS)
    made = reduced_mail(kind, name, language, _Office, **words).raw
    assert made == reduced_mail(kind, name, language, _Office).raw, "not one byte hangs on what was written"
    less = shown(made)
    whole = shown(catalogue_mail(kind, name, language, _Office, **words).raw)
    for text in written(words, declared):
        assert text not in less
        assert text in whole, "this test would see it"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_no_figure_is_in_a_mail_without_details(language):
    kind, name = MailKind.SERVICE_REVIEW, "service-review.figures"
    assert "1,204" in shown(catalogue_mail(kind, name, language, _Office).raw), "this test would see it"
    made = reduced_mail(kind, name, language, _Office).raw
    assert "1,204" not in shown(made)
    assert made == reduced_mail(kind, name, language, _Office, figures=FIGURES[:1]).raw


@pytest.mark.parametrize(("kind", "name", "language"), DETAILED)
def test_a_mail_without_details_still_says_which_it_is(kind, name, language):
    made = reduced_mail(kind, name, language, _Office)
    given_words = FORMS[name][2 if language == "ja" else 1]
    told = shown(made.raw)
    assert "INC-000001" in made.subject
    assert ("link" in given_words) == (PORTAL in told)
    if "severity" in given_words:
        assert {"High": "高", "Medium": "中"}[given_words["severity"]] in told or given_words[
            "severity"
        ] in told
    if "since" in given_words:
        assert "2026-11-2512:00UTC" in told


def test_a_reduced_mail_keeps_what_was_left_out_for_the_record_and_its_questions_can_be_found():
    made = reduced_mail(MailKind.REQUEST_FOR_CONTEXT, "request-for-context", "en", _Office)
    kept = made.said.partition(LEFT_OUT)[2]
    assert FORMS["request-for-context"][1]["title"] in kept
    assert questions_in(made.said) == FORMS["request-for-context"][1]["questions"]


def test_a_reduced_mail_is_refused_for_the_same_words_as_a_whole_one():
    """The record gets them, and the next contact may get them all."""
    with pytest.raises(Exception, match="links to"):
        reduced_mail(MailKind.REPLY, "reply", "en", _Office, text="see https://evil.example/ now")


def written_to(office, record, contacts, rules, kind=MailKind.REQUEST_FOR_CONTEXT, words=REQUEST):
    return compose(
        kind,
        office=replace(office, disclosure=rules),
        thread=record.incident,
        contacts=contacts,
        variables=words,
        stamps=[stamp(f"t{number}", "experts.test", NOW) for number in range(len(contacts))],
    )


def test_each_recipient_of_one_letter_gets_what_its_own_tlp_lets_through(office, record):
    ana = record.contact
    bob = replace(ana, id=2, address="bob@x.test", tlp=Tlp.CLEAR)
    eve = replace(ana, id=3, address="eve@x.test", tlp=Tlp.RED, details_allowed=Permission(NOW, "ben"))
    outside = OutsideAddress("out@y.test", "ja")
    mails = written_to(office, record, [ana, bob, eve, outside], DisclosureRules(Tlp.AMBER))
    assert [one.disclosure.full for one in mails] == [False, True, True, False]
    assert ["Odd sign-in" in one.subject for one in mails] == [False, True, True, False]
    assert not any(one.disclosure.needs_tls for one in mails)


def test_kinds_without_details_are_the_same_for_everybody(office, record):
    rules = DisclosureRules(Tlp.RED)
    for kind in (MailKind.PORTAL_NOTICE, MailKind.TEST_NOTIFICATION):
        (one,) = written_to(office, record, [record.contact], rules, kind, {})
        assert one.disclosure is NO_DETAILS


def test_an_automatic_mail_to_nobody_known_follows_the_houses_tlp(office, record):
    order = AutomaticOrder(
        MailKind.REMINDER, record.incident.id, None, "ana@contoso.test", "k", NOW,
        {"number": 1, "since": NOW.isoformat(), "pending_1": "Reset the password"},
    )  # fmt: skip
    made = compose_automatic(
        order,
        office=replace(office, disclosure=DisclosureRules(Tlp.AMBER)),
        thread=record.incident,
        contact=None,
        one=stamp("t", "experts.test", NOW),
    )
    assert not made.disclosure.full


def test_a_reminder_says_no_title_and_no_task_where_they_may_not_go(world, record):
    world.write(set_tlp, record.contact, Tlp.RED)
    world.write(add_task, record.incident, "Reset the password", TaskSource.GUIDED_RESPONSE, NOW, by="Ana")
    ask(world, record)
    look(world, record, NOW + DAY)
    work_at(world, NOW + DAY)
    (one,) = sent(world)
    assert one["Subject"] == "[INC-000001] Reminder 1: your action is needed: please see the portal"
    told = shown(one.as_bytes())
    assert "Resetthepassword" not in told
    assert "Oddsign-in" not in told
    (kept,) = [entry.text for entry in world.timeline() if entry.kind is EntryKind.MAIL_OUT]
    assert "Reset the password" in kept.partition(LEFT_OUT)[2]


# -- on its way -------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """A certificate for mx.contoso.test and 127.0.0.1, and the file that makes it a trusted one."""
    return _made(tmp_path_factory.mktemp("good"), "DNS:mx.contoso.test,IP:127.0.0.1")


@pytest.fixture(scope="session")
def other_name(tmp_path_factory):
    return _made(tmp_path_factory.mktemp("other"), "DNS:elsewhere.test")


def _made(folder, names):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x", "-addext",
         f"subjectAltName={names}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, str(folder / "cert.pem")


def through(outlet, port, bundle=None):
    """A way out whose settings ask for no TLS at all, or take any."""
    if outlet != "mx":
        return smarthost(
            "127.0.0.1", port, tls=Tls(outlet), hostname=HELLO, timeouts=FAST, cert_bundle=bundle
        )

    async def ask_dns(questions):
        found = {
            Question.of("contoso.test", "MX"): ("10 mx.contoso.test.",),
            Question.of("mx.contoso.test", "A"): ("127.0.0.1",),
        }
        return {
            one: Answer(AnswerStatus.ANSWER, found[one]) if one in found else Answer(AnswerStatus.NODATA)
            for one in questions
        }

    return MxTransport(ask_dns, HELLO, port, private_networks=True, timeouts=FAST, cert_bundle=bundle)


OUTLETS = ("none", "opportunistic", "mx")


@pytest.mark.parametrize("outlet", OUTLETS)
@pytest.mark.parametrize("server", ["without TLS", "self-signed", "for another name"])
def test_no_mail_that_needs_tls_is_handed_over_without_a_good_certificate(outlet, server, good, other_name):
    options, bundle = {
        "without TLS": ({}, good[1]),
        "self-signed": ({"tls_context": good[0]}, other_name[1]),
        "for another name": ({"tls_context": other_name[0]}, other_name[1]),
    }[server]

    async def scenario():
        handler = Sink()
        async with sink(handler, **options) as port:
            way = through(outlet, port, bundle)
            done = await way.deliver(replace(mail(), needs_tls=True))
            refused = list(handler.taken)
            other = await way.deliver(mail())
            await way.close()
        return refused, done, handler.taken, other

    refused, done, taken, other = run(scenario())
    assert refused == []
    assert done.failure is Failure.PROTOCOL
    assert not done.begun, "not even its addresses were told"
    assert "this mail holds details and goes under checked TLS only" in done.reply.text
    assert other.failure is None, "the same server takes other mail, and that changes nothing"
    assert len(taken) == 1


@pytest.mark.parametrize("outlet", OUTLETS)
def test_a_mail_that_needs_tls_goes_to_a_server_with_a_good_certificate_whatever_the_settings_ask(
    outlet, good
):
    async def scenario():
        handler = Sink()
        async with sink(handler, tls_context=good[0]) as port:
            way = through(outlet, port, good[1])
            await way.deliver(mail())  # an open connection without checked TLS is not used for it
            done = await way.deliver(replace(mail(), needs_tls=True))
            await way.close()
        return handler, done

    handler, done = run(scenario())
    assert done.failure is None
    assert done.protection.level is TlsLevel.VERIFIED
    assert handler.tls
    assert len(handler.taken) == 2


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "502 5.5.1 no such thing", "500 what?"])
def test_a_server_that_offers_tls_and_then_has_none_gets_nothing(answer):
    async def scenario():
        lines = ("220 mx", "250-mx\r\n250 STARTTLS", answer, "250 OK", "250 OK", "354 go")
        async with script(*lines) as port:
            return await through("opportunistic", port).deliver(replace(mail(), needs_tls=True))

    done = run(scenario())
    assert done.failure is not None
    assert not done.begun


def queued(world, office, record, signer, rules):
    (one,) = written_to(office, record, [record.contact], rules)
    ready = asyncio.run(prepare(one, signer, world.check, NOW))
    return world.write(
        queue_outgoing, ready.signed, idempotency_key="k", actor="ana", checked=ready.checked, now=NOW
    ).outgoing_id


REQUIRED_HERE = DisclosureRules(Tlp.AMBER, Outlet.MX, REQUIRED)


class Loosened:
    """The way out after somebody has loosened the settings: any TLS will do, and the server has none."""

    def __init__(self, **options):
        self.handler = Sink()
        self.options = options

    async def deliver(self, delivery):
        async with sink(self.handler, **self.options) as port:
            way = through("opportunistic", port)
            done = await way.deliver(delivery)
            await way.close()
            return done

    async def close(self):
        """Nothing stays open."""


def test_a_mail_keeps_its_need_of_tls_when_settings_are_loosened_waits_and_fails_in_words(
    world, office, record, signer
):
    number = queued(world, office, record, signer, REQUIRED_HERE)
    world.transport = Loosened()
    for days in range(7):
        work_at(world, NOW + timedelta(days=days))
        if days == 0:
            assert world.write(show_outbox, number).item.state is DeliveryState.DEFERRED
    entry = world.write(show_outbox, number)
    assert entry.item.state in (DeliveryState.EXPIRED, DeliveryState.FAILED)
    assert "this mail holds details and goes under checked TLS only" in entry.item.last_reply
    assert (entry.needs_tls, entry.disclosure.startswith("details included: TLP:AMBER, and TLS")) == (
        True,
        True,
    )
    work_after_retry(world, number)
    assert world.transport.handler.taken == []


def work_after_retry(world, number):
    """A person's retry does not loosen it either."""
    world.write(retry_now, number, world.clock.now)
    world.work()


def test_what_the_contact_allows_waits_for_no_tls(world, office, record, signer):
    allowed = world.write(allow_details, record.contact, Permission(NOW, "ben"))
    record = replace(record, contact=allowed)
    number = queued(world, office, record, signer, DisclosureRules(Tlp.RED))
    world.transport = Loosened()
    world.work()
    assert world.write(show_outbox, number).item.state is DeliveryState.DELIVERED
    ((_from, _to, raw),) = world.transport.handler.taken
    assert b"Odd sign-in" in raw


def test_a_leased_mail_says_whether_it_needs_tls(world, office, record, signer):
    queued(world, office, record, signer, REQUIRED_HERE)
    world.queue("other")
    assert [one.needs_tls for one in world.write(lease_due, NOW, "w", 5)] == [True, False]


# -- the contact ------------------------------------------------------------------------------------------
def test_a_permission_keeps_when_and_by_whom_it_was_first_recorded_and_goes_with_the_contact(world, record):
    first = world.write(allow_details, record.contact, Permission(NOW, "ben"))
    again = world.write(allow_details, first, Permission(NOW + DAY, "eve"))
    assert again.details_allowed == Permission(NOW, "ben")
    assert world.write(set_tlp, again, Tlp.AMBER_STRICT).tlp is Tlp.AMBER_STRICT
    (found,) = world.write(find_contacts, "ANA@contoso.test")
    assert (found.tlp, found.details_allowed) == (Tlp.AMBER_STRICT, Permission(NOW, "ben"))
    world.write(remove_contact, found, NOW)
    back = world.write(add_contact, found.organisation_id, "ana@contoso.test", "Ana", NOW + DAY)
    (stored,) = world.write(find_contacts, "ana@contoso.test")
    assert back == stored
    assert (back.tlp, back.details_allowed) == (None, None)
    taken = world.write(allow_details, world.write(allow_details, back, Permission(NOW, "ben")), None)
    assert taken.details_allowed is None
