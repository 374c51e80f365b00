"""Each operation that a token is for, with an example of it: what it needs, whose it is, and what it answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from outbound.mail_code import codes_in
from outbound.store.suppression import suppress
from tests.console.place import Place, now
from tests.expertmail.api_client import Portal, Said
from threads.api_token import ID_BYTES, SECRET_BYTES, Scope, token_text
from threads.model import AskedBy, Disposition, Organisation, TaskSource
from threads.store import add_contact, add_domain, contact, open_incident
from threads.store.api_tokens import add_token
from threads.store.circumstances import distrust, trust
from threads.store.inquiries import ask
from threads.store.people import list_contacts, organisation
from threads.store.read import list_copies
from threads.store.tasks import add_task
from threads.store.thread import thread_by_reference, timeline_of


@dataclass
class Desk:
    """The programs of a place, each with a token of its own."""

    place: Place

    def program(
        self, *scopes: Scope, whose: tuple[Organisation, ...] = (), by: str = "ops", name: str = ""
    ) -> Portal:
        """A token, made by ``by``; without ``scopes`` it has all."""
        text = token_text(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
        name = name or f"program-{secrets.token_hex(4)}"
        with self.place.database.writing() as conn:
            add_token(conn, text, name, scopes or tuple(Scope), now(), by=by, organisations=whose)
        return Portal(self.place.served.console_port, text)

    def incident(self) -> str:
        """A new incident of Contoso."""
        with self.place.database.writing() as conn:
            return open_incident(conn, self.place.contoso.id, "Odd rules", now()).reference

    def incident_by_program(self) -> str:
        """One that a program has opened."""
        form = {"organisation": "Contoso", "title": "Odd rules"}
        said = self.program().ask("POST", "/incidents", form, key=secrets.token_hex(8))
        return str(said.json["reference"])

    def with_task(self) -> str:
        """One with a task."""
        reference = self.incident()
        path = f"/incidents/{reference}/tasks"
        said = self.program(Scope.WRITE_INCIDENTS).ask("POST", path, {"title": "T"}, key="t")
        assert said.status == 201, said.body
        return reference

    def chat(self) -> str:
        """One with a chat."""
        reference = self.incident()
        with self.place.database.writing() as conn:
            thread = thread_by_reference(conn, reference)
            add_task(conn, thread, "Isolate it", TaskSource.MANAGED_RESPONSE, now(), by="test")
        return reference

    def distrusted(self) -> str:
        """Begin compromised-customer mode for Contoso, if it is not begun."""
        with self.place.database.writing() as conn:
            one = organisation(conn, self.place.contoso.id)
            if one.untrusted is None:
                distrust(conn, one, "a stolen session", now(), by="test")
        return "/customers/mode"

    def trust(self) -> None:
        """End it."""
        with self.place.database.writing() as conn:
            one = organisation(conn, self.place.contoso.id)
            if one.untrusted is not None:
                trust(conn, one)

    def code(self, number: int) -> str:
        """The code that a mail of ours bears."""
        text = self.program(Scope.READ_OUTBOX).ask("GET", f"/outbox/{number}").json["text"]
        return codes_in(text)[0]

    def held(self) -> str:
        """A new message of a stranger that waits for Contoso's incident."""
        place, key = self.place, secrets.token_hex(6)
        to = place.reply_address(place.incident)
        raw = (
            f"From: Eve <eve@stranger.test>\r\nTo: {to}\r\nSubject: About {key}\r\n"
            f"Message-ID: <{key}@stranger.test>\r\n\r\nLet me in.\r\n"
        )
        place.mail(raw.encode(), mail_from="eve@stranger.test", to=to)
        with place.database.reading() as conn:
            waiting = list_copies(conn, thread_id=place.incident.id, disposition=Disposition.HELD)
        return next(one.id for one in waiting if key in one.subject)

    def asked(self) -> tuple[str, int]:
        """Such a message, whose release somebody asked for; the number of that."""
        copy_id = self.held()
        said = self.program(Scope.DECIDE_HELD).ask("POST", f"/held/{copy_id}/release", {})
        assert said.status == 202, said.body
        return copy_id, said.json["asked"]["request"]

    def answer(self) -> str:
        """A new answer of Contoso's contact on the incident."""
        self.place.answer(self.place.incident, self.place.alice, f"It was me. {secrets.token_hex(4)}")
        with self.place.database.reading() as conn:
            return timeline_of(conn, self.place.incident.id, latest=1)[-1].copy_id or ""

    def mail(self, kind: str = "reply", writer: Portal | None = None, **more: Any) -> int:
        """A new mail of ours to Contoso; a managed response waits for a second person."""
        words = {"text": "We look."} if kind == "reply" else {"summary": "We isolated it."}
        form = {"kind": kind, "to": [self.place.alice.address], "words": words, **more}
        portal = writer or self.program(Scope.SEND_NOTIFICATIONS)
        path = f"/incidents/{self.place.incident.reference}/notifications"
        said = portal.ask("POST", path, form, key=secrets.token_hex(8))
        assert said.status == 202, said.body
        return int(said.json["mails"][0]["number"])

    def later(self) -> int:
        """A new mail that waits for its time."""
        return self.mail(send_after=(now() + timedelta(hours=1)).isoformat())

    def waiting(self) -> int:
        """A new mail that waits for a second person."""
        return self.mail("managed-response")

    def digest(self, number: int) -> str:
        """What is approved of it."""
        said = self.program(Scope.READ_OUTBOX).ask("GET", f"/approvals/{number}")
        return str(said.json["digest"])

    def gone_at_once(self) -> int:
        """A new mail that broke the glass."""
        return self.mail("managed-response", break_glass="it spreads")

    def contact(self) -> int:
        """A new contact of Contoso."""
        with self.place.database.writing() as conn:
            address = f"{secrets.token_hex(4)}@contoso.test"
            return add_contact(conn, self.place.contoso.id, address, "Cleo", now()).id

    def suppressed(self) -> int:
        """A new contact of Contoso whose address gets no mail."""
        number = self.contact()
        with self.place.database.writing() as conn:
            suppress(conn, contact(conn, number).address, "it came back", now(), actor="test")
        return number

    def domain(self) -> str:
        """A new domain of Contoso."""
        domain = f"{secrets.token_hex(4)}.test"
        with self.place.database.writing() as conn:
            add_domain(conn, self.place.contoso.id, domain, now(), verified=False)
        return domain

    def contacts(self) -> set[str]:
        """Who speaks for Contoso."""
        with self.place.database.reading() as conn:
            return {one.address for one in list_contacts(conn, self.place.contoso.id)}


@dataclass(frozen=True)
class Try:
    """An operation as it is used. ``path`` and ``form`` are made for each use anew; ``whose``: Contoso's ("contoso", so that
    others' tokens get 404), "each" (a token sees its own), or "all" (only for who may touch all customers)."""

    operation: str
    method: str
    path: Callable[[Desk], str]
    whose: str = "contoso"
    form: Callable[[Desk, str], object] | None = None
    status: int = 200
    key: bool = False


def question(desk: Desk, by: AskedBy = AskedBy.API) -> str:
    """A new question of Contoso's contact."""
    place = desk.place
    with place.database.writing() as conn:
        return ask(
            conn,
            place.contoso,
            "An update",
            "Is it safe?",
            now(),
            contact=place.alice,
            asked_by=by,
            actor="portal",
        ).reference


def fixed(path: str) -> Callable[[Desk], str]:
    return lambda _: path


def body(**fields: object) -> Callable[[Desk, str], object]:
    return lambda _, __: fields


def by_digest(**more: object) -> Callable[[Desk, str], object]:
    return lambda desk, path: {"digest": desk.digest(int(path.split("/")[2])), **more}


def consenting(desk: Desk, path: str) -> object:
    shown = desk.program(Scope.READ_HELD).ask("GET", path.removesuffix("/consent"))
    return {"request": shown.json["asked"]["request"], "word": "consent"}


def _new(desk: Desk, **more: object) -> Mapping[str, object]:
    return {
        "organisation": "Contoso",
        "address": f"{secrets.token_hex(4)}@contoso.test",
        "name": "Dan",
        **more,
    }


TABLE: tuple[Try, ...] = (
    Try("openIncident", "POST", fixed("/incidents"), form=body(organisation="Contoso", title="T"), status=201, key=True),
    Try("showIncident", "GET", lambda d: f"/incidents/{d.incident()}"),
    Try("changeIncident", "PATCH", lambda d: f"/incidents/{d.incident()}", form=body(severity="Low")),
    Try("addTask", "POST", lambda d: f"/incidents/{d.incident()}/tasks", form=body(title="T"), status=201, key=True),
    Try("setTask", "PATCH", lambda d: f"/incidents/{d.with_task()}/tasks/1", form=body(status="completed")),
    Try(
        "sendNotification", "POST", lambda d: f"/incidents/{d.incident()}/notifications", status=202, key=True,
        form=body(kind="reply", to=["alice@contoso.test"], words={"text": "We look."}),
    ),
    Try(
        "sendCustomerNotification", "POST", fixed("/notifications"), status=202, key=True,
        form=body(organisation="Contoso", kind="test-notification", to=["alice@contoso.test"]),
    ),
    Try("showNotification", "GET", lambda d: f"/notifications/{d.mail()}"),
    Try("listIncidents", "GET", fixed("/incidents"), "each"),
    Try("searchMail", "GET", lambda d: f"/search?words=me&thread={d.place.incident.reference}"),
    Try("showMessage", "GET", lambda d: f"/messages/{d.answer()}"),
    Try("addNote", "POST", lambda d: f"/incidents/{d.incident()}/notes", form=body(text="N"), status=201, key=True),
    Try("showCallSheet", "GET", lambda d: f"/incidents/{d.incident()}/calls"),
    Try("recordCall", "POST", lambda d: f"/incidents/{d.incident()}/calls", form=body(text="C"), status=201, key=True),
    Try(
        "moveMails", "POST", lambda d: f"/incidents/{d.place.incident.reference}/moves", status=201, key=True,
        form=lambda d, _: {"mails": [d.answer()], "title": "Apart"},
    ),
    Try(
        "mergeIncident", "POST", lambda d: f"/incidents/{d.incident()}/merge",
        form=lambda d, _: {"into": d.incident()},
    ),
    Try(
        "writeChat", "POST", lambda d: f"/incidents/{d.chat()}/chat", status=201,
        form=lambda _, __: {"id": secrets.token_hex(8), "from": "customer", "name": "Alice", "text": "It was me."},
    ),
    Try("readChat", "GET", lambda d: f"/incidents/{d.chat()}/chat"),
    Try("followChat", "GET", lambda d: f"/incidents/{d.chat()}/chat/stream?seconds=1"),
    Try("listHeld", "GET", fixed("/held"), "each"),
    Try("showHeld", "GET", lambda d: f"/held/{d.held()}"),
    Try("releaseHeld", "POST", lambda d: f"/held/{d.held()}/release", form=body(), status=202),
    Try("discardHeld", "POST", lambda d: f"/held/{d.held()}/discard", form=body(reason="a fraud")),
    Try("consentHeld", "POST", lambda d: f"/held/{d.asked()[0]}/consent", form=consenting),
    Try("listOutbox", "GET", fixed("/outbox"), "each"),
    Try("showMail", "GET", lambda d: f"/outbox/{d.mail()}"),
    Try("retryMail", "POST", lambda d: f"/outbox/{d.later()}/retry"),
    Try("cancelMail", "POST", lambda d: f"/outbox/{d.later()}/cancel"),
    Try("listStanding", "GET", fixed("/approvals/standing"), "each"),
    Try("standForMail", "POST", fixed("/approvals/standing"), "all", form=body(kind="reminder", word="give")),
    Try("listApprovals", "GET", fixed("/approvals"), "each"),
    Try("showApproval", "GET", lambda d: f"/approvals/{d.waiting()}"),
    Try("approveMail", "POST", lambda d: f"/approvals/{d.waiting()}/approve", form=by_digest()),
    Try("refuseMail", "POST", lambda d: f"/approvals/{d.waiting()}/refuse", form=body(reason="wrong tone")),
    Try("breakGlass", "POST", lambda d: f"/approvals/{d.waiting()}/break-glass", form=by_digest(reason="it spreads")),
    Try("reviewMail", "POST", lambda d: f"/approvals/{d.gone_at_once()}/review", form=body(reason="it was right")),
    Try("listCustomers", "GET", fixed("/customers"), "each"),
    Try(
        "setCustomerMode", "POST", lambda d: d.distrusted(), form=body(organisation="Contoso", mode="trusted", reason="clean")
    ),
    Try("addCustomer", "POST", fixed("/customers"), "all", form=lambda _, __: {"name": f"Tailspin {secrets.token_hex(4)}"}, status=201),
    Try(
        "setDomain", "POST", fixed("/customers/domains"),
        form=lambda _, __: {"organisation": "Contoso", "domain": f"{secrets.token_hex(4)}.test", "verified": True},
    ),
    Try("forgetDomain", "DELETE", lambda d: f"/customers/domains?organisation=Contoso&domain={d.domain()}"),
    Try("allowContact", "POST", lambda d: f"/contacts/{d.suppressed()}/allow"),
    Try("listContacts", "GET", fixed("/contacts?organisation=Contoso")),
    Try("addContact", "POST", fixed("/contacts"), form=lambda d, _: _new(d), status=201),
    Try("changeContact", "PATCH", lambda d: f"/contacts/{d.contact()}", form=body(phone="+1 555 0100", tlp="default")),
    Try("removeContact", "DELETE", lambda d: f"/contacts/{d.contact()}"),
    Try("listAudit", "GET", fixed("/audit"), "each"),
    Try("checkAudit", "GET", fixed("/audit/chain"), "all"),
    Try("lookUpCode", "POST", fixed("/codes"), "each", form=lambda d, _: {"code": d.code(d.mail())}),
    Try("lookBackAtInquiries", "GET", lambda d: f"/inquiries/history?months=1&organisation={question(d) and 'Contoso'}"),
    Try(
        "askExperts", "POST", fixed("/inquiries"), status=201, key=True,
        form=body(organisation="Contoso", title="An update", text="Is it safe?", asked_by_contact="alice@contoso.test"),
    ),
    Try("showInquiry", "GET", lambda d: f"/inquiries/{question(d)}"),
    Try("answerInquiry", "POST", lambda d: f"/inquiries/{question(d)}/answers", form=body(text="It is."), status=201, key=True),
    Try("showServiceReview", "GET", fixed("/reviews?organisation=Contoso&period=2026-10")),
    Try("report", "GET", fixed("/reports?organisation=Contoso&days=7")),
)  # fmt: skip


def asked(desk: Desk, one: Try, program: Portal) -> Said:
    """Do it once."""
    path = one.path(desk)
    form = None if one.form is None else one.form(desk, path)
    return program.ask(one.method, path, form, key=secrets.token_hex(8) if one.key else None)
