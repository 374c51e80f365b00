"""Writes to customers: choose a kind, fill it in, look at it as it will be, and send it, or a test of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.compose_facts import facts_on_record
from expertmail.compose_words import WRITTEN_KINDS
from expertmail.console.pages.compose_form import fields, letter_of
from expertmail.console.pages.compose_previews import Preview, Previews
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of, thread_for
from expertmail.console.pages.security import MAIL_FRAME_HEADERS
from expertmail.console.posting import post
from expertmail.letters import Letter, compose_letter
from outbound.errors import ComposeError
from outbound.model import DeliveryState, Value
from outbound.store.suppression import list_suppressed
from outbound.template import Declaration
from outbound.template_files import load_templates
from threads.access import Permission
from threads.model import Contact, Organisation, Thread
from threads.store import Connection
from threads.store.people import find_organisation, list_contacts, organisation
from threads.store.tasks import list_tasks

_KEY_BYTES: Final = 16
_REFUSED: Final = frozenset({404, 409, 422})

_previews = Previews()


@dataclass(frozen=True, slots=True)
class About:
    """What is written about: a thread, or a customer alone. ``facts`` are what the record knows of its words."""

    thread: Thread | None
    customer: Organisation
    contacts: tuple[Contact, ...]
    suppressed: frozenset[str]
    facts: Mapping[str, Value]

    @property
    def reference(self) -> str:
        """The thread's, or ""."""
        return "" if self.thread is None else self.thread.reference


async def show(visit: Visit) -> Response:
    """Choose what is written about and which kind of mail it is; then the form."""
    kind = _kind(visit.query("kind"))
    incident, customer = visit.query("incident"), visit.query("customer")
    if kind is None or not (incident or customer):
        return await _choose(visit, incident, customer)
    return await _form(visit, kind, await _about(visit, kind, incident, customer))


async def act(visit: Visit) -> Response:
    """More places for a list, a preview, a test, or the mail itself."""
    kind = _kind(visit.form.one("kind"))
    if kind is None:
        raise HTTPException(404)
    about = await _about(visit, kind, visit.form.one("incident"), visit.form.one("customer"))
    do = visit.form.one("do")
    if do == "more":
        return await _form(visit, kind, about)
    try:
        letter = letter_of(
            kind,
            visit.form,
            reference=about.reference,
            organisation="" if about.thread else about.customer.name,
            actor=visit.actor,
            customers=visit.signed_in.account.reach(Permission.COMPOSE),
            test=do == "test",
        )
    except ComposeError as error:
        return await _form(visit, kind, about, trouble=str(error))
    if not letter.to:
        return await _form(visit, kind, about, trouble="Choose at least one recipient.")
    try:
        return await (
            _previewed(visit, kind, about, letter) if do == "preview" else _posted(visit, letter, about)
        )
    except HTTPException as error:
        if error.status_code not in _REFUSED:
            raise
        return await _form(visit, kind, about, trouble=error.detail)


async def show_preview(visit: Visit) -> Response:
    """The HTML of a previewed mail, for a frame."""
    found = _previews.find(visit.request.path_params["name"], visit.signed_in.session.id)
    number = number_of(visit.request.path_params["number"])
    if found is None or not 0 < number <= len(found):
        raise HTTPException(410, "That preview is kept no longer; make it again.")
    return Response(
        found[number - 1].html, headers=dict(MAIL_FRAME_HEADERS), media_type="text/html; charset=utf-8"
    )


async def _previewed(visit: Visit, kind: Declaration, about: About, letter: Letter) -> Response:
    outgoing, database = visit.parts.api.outgoing, visit.parts.api.database
    composed = await visit.run(lambda: compose_letter(outgoing.world, database, letter, visit.now))
    previews = await visit.run(lambda: tuple(map(Preview.of, composed.mails)))
    name = _previews.keep(visit.signed_in.session.id, previews)
    return await _form(visit, kind, about, previews=previews, name=name, notes=composed.notes)


async def _posted(visit: Visit, letter: Letter, about: About) -> Response:
    outgoing = visit.parts.api.outgoing
    posted = await post(
        visit.places,
        visit.parts.api.database,
        letter,
        visit.now,
        world=outgoing.world,
        check=outgoing.check,
    )
    if not posted.known:
        outgoing.queued()
    withheld = [one for one in posted.mails if one.withheld]
    if withheld and not posted.known:
        raise HTTPException(
            409, f"Our own verifier does not call the mail genuine, so it is not sent: {withheld[0].reason}."
        )
    waits = any(one.state is DeliveryState.AWAITING_APPROVAL for one in posted.mails)
    number = len(posted.mails)
    mails = f"{number} mail{'' if number == 1 else 's'}"
    said = f"{mails} sent on their way." if number > 1 else "The mail is on its way."
    if posted.known:
        said = f"That was sent before; {mails} went then, and nothing more now."
    elif letter.test_to is not None:
        said = f"A test goes to {letter.test_to}."
    elif waits:
        said = f"{mails} wait{'s' if number == 1 else ''} for the approval of another person."
    if waits:
        return visit.go("/approvals", said)
    return visit.go(f"/incidents/{about.reference}" if about.thread else "/outbox", said)


async def _about(visit: Visit, kind: Declaration, incident: str, customer: str) -> About:
    def work(conn: Connection) -> About:
        thread: Thread | None = None
        if incident:
            thread, whose = thread_for(conn, visit, incident, Permission.COMPOSE)
        else:
            number = number_of(customer or "0")
            visit.require(Permission.COMPOSE, number)
            named = find_organisation(conn, organisation(conn, number).name)
            if named is None:
                raise HTTPException(404)
            whose = named
        tasks = () if thread is None else list_tasks(conn, thread.id)
        people = list_contacts(conn, whose.id)
        return About(
            thread,
            whose,
            people,
            frozenset(one.address.lower() for one in list_suppressed(conn)),
            {
                **({} if thread is None else {"title": thread.title}),
                **facts_on_record(kind.kind, (), thread, whose, tasks),
            },
        )

    return await looked_up(visit, work)


async def _choose(visit: Visit, incident: str, customer: str) -> Response:
    names = await looked_up(visit, lambda conn: dict(names_of(conn, visit, Permission.COMPOSE)))
    return await visit.page(
        "compose_choose.html", incident=incident, customer=customer, names=names, kinds=_written()
    )


async def _form(
    visit: Visit,
    kind: Declaration,
    about: About,
    *,
    trouble: str = "",
    previews: tuple[Preview, ...] = (),
    name: str = "",
    notes: tuple[str, ...] = (),
) -> Response:
    settings = visit.parts.api.outgoing.world.settings
    return await visit.page(
        "compose.html",
        status=422 if trouble else 200,
        trouble=trouble,
        kind=kind,
        about=about,
        typed=visit.form,
        chosen=set(visit.form.all("to")),
        fields=fields(kind, visit.form, about.facts, visit.signed_in.account.display_name),
        previews=previews,
        name=name,
        notes=notes,
        key=visit.form.one("key") or secrets.token_hex(_KEY_BYTES),
        second=kind.kind.value in settings.sending.second_person,
        test_to=visit.form.one("test_to") or visit.signed_in.account.address or settings.mail.sender_address,
    )


def _written() -> tuple[Declaration, ...]:
    return tuple(one for one in load_templates().catalogue if one.kind in WRITTEN_KINDS)


def _kind(word: str) -> Declaration | None:
    return next((one for one in _written() if one.kind.value == word), None)


PAGES: Final = (
    Page("GET", "/compose", "compose", Permission.COMPOSE, show),
    Page("POST", "/compose", "compose-do", Permission.COMPOSE, act),
    Page("GET", "/compose/preview/{name}/{number}", "compose-preview", Permission.COMPOSE, show_preview),
)
