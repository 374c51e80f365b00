"""A served console with two customers in it, people who are signed in, and requests as a browser or a program sends them."""

from __future__ import annotations

import http.client
import secrets
import smtplib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formataddr
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from expertmail.console.passwords import hash_password
from expertmail.settings import load
from expertmail.world import World, open_world
from tests.proofs.served import Served
from threads import store
from threads.access import Account, Grant, Role
from threads.model import Contact, Disposition, Organisation, Thread
from threads.session import SECRET_BYTES, Way, form_token, secret_text
from threads.store.account_secrets import set_password
from threads.store.accounts import account_by_id, add_account, any_account
from threads.store.read import list_copies
from threads.store.sessions import begin_session

SECONDS = 60


@cache
def _a_hash() -> str:
    """Of a password that no test types; making one takes long."""
    return hash_password("a password that nobody types")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in: ``secret`` is the cookie."""

    account: Account
    secret: str

    @property
    def cookie(self) -> str:
        return f"expertmail={self.secret}"

    @property
    def token(self) -> str:
        return form_token(self.secret)


@dataclass
class Place:
    """The console of one ``serve``. Contoso and Fabrikam have one contact and one incident each."""

    served: Served
    database: store.Database
    world: World
    contoso: Organisation
    fabrikam: Organisation
    alice: Contact
    bob: Contact
    incident: Thread
    other_incident: Thread
    people: dict[str, Person] = field(default_factory=dict)
    looking: Person | None = None  # for whom an example is made, where that matters
    made: dict[str, str] = field(default_factory=dict)  # what examples have made, by its name

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.served.console_port}"

    def person(self, *roles: Role | Grant, name: str | None = None) -> Person:
        """Somebody with these roles (for all customers where no grant says otherwise), with a session of today."""
        grants = [one if isinstance(one, Grant) else Grant(one, None) for one in roles]
        name = name or "-".join(
            f"{one.role}{'' if one.organisation_id is None else one.organisation_id}" for one in grants
        )
        if name not in self.people:
            self.people[name] = self._signed_in(name or "nobody", grants)
        return self.people[name]

    def _signed_in(self, name: str, grants: Iterable[Grant]) -> Person:
        secret = secret_text(secrets.token_bytes(SECRET_BYTES))
        with self.database.writing() as conn:
            if not any_account(conn):
                add_account(conn, "first.admin", "First Admin", [Grant(Role.ADMIN, None)], now(), by="test")
            account = add_account(conn, name, name.title(), grants, now(), by="test")
            set_password(conn, account.id, _a_hash(), now())
            account = account_by_id(conn, account.id)
            begin_session(
                conn, secret, account, now(), way=Way.PASSWORD, client_ip="127.0.0.1", user_agent="test"
            )
        return Person(account, secret)

    def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str | list[str]] | bytes | None = None,
        *,
        person: Person | None = None,
        headers: Mapping[str, str | None] | None = None,
        token: bool = True,
    ) -> Answer:
        """One request as our own page sends it; ``headers`` with None are left out, ``token=False`` leaves the form's token out."""
        fields: dict[str, str | None] = {}
        if person is not None:
            fields["Cookie"] = person.cookie
        body: bytes | None = None
        if method not in ("GET", "HEAD"):
            fields["Origin"] = self.url
            fields["Content-Type"] = "application/x-www-form-urlencoded"
            if isinstance(form, bytes):
                body = form
            else:
                sent: dict[str, str | list[str]] = dict(form or {})
                if person is not None and token:
                    sent["token"] = person.token
                body = urlencode(sent, doseq=True).encode()
        fields |= dict(headers or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.served.console_port, timeout=SECONDS)
        try:
            sent_headers = {name: value for name, value in fields.items() if value is not None}
            connection.request(method, path, body, sent_headers)
            answer = connection.getresponse()
            told: dict[str, str] = {}
            for name, value in answer.getheaders():
                told[name.lower()] = ", ".join(filter(None, (told.get(name.lower()), value)))
            return Answer(answer.status, told, answer.read())
        finally:
            connection.close()

    def message(self) -> str:
        """The id of a stored message on Contoso's incident; one is sent where there is none."""
        for _ in range(2):
            with self.database.reading() as conn:
                copies = list_copies(conn, thread_id=self.incident.id, disposition=Disposition.FILED)
            if copies:
                return copies[0].id
            self.answer(self.incident, self.alice, "It was not me.")
        raise AssertionError("an answer is not on record")

    def mail(self, raw: bytes, *, mail_from: str, to: str) -> None:
        """Send a message to the gateway, as from a host on this machine."""
        with smtplib.SMTP("127.0.0.1", self.served.smtp_port, "mail.contoso.test", timeout=SECONDS) as client:
            client.sendmail(mail_from, [to], raw)

    def reply_address(self, incident: Thread, contact: Contact | None = None) -> str:
        """Where answers about an incident go."""
        return self.world.replies.mint(incident.id, None if contact is None else contact.id, now().date())

    def answer(
        self, incident: Thread, contact: Contact, text: str, subject: str = "Re: your question"
    ) -> None:
        """A contact of Contoso answers about an incident by mail, genuinely (SPF of the trial zone)."""
        raw = (
            f"From: {formataddr((contact.name, contact.address))}\r\nTo: Experts <{self.reply_address(incident, contact)}>\r\n"
            f"Subject: {subject}\r\nMessage-ID: <{secrets.token_hex(8)}@contoso.test>\r\n"
            f"Date: {now():%a, %d %b %Y %H:%M:%S +0000}\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            + text.replace("\n", "\r\n")
            + "\r\n"
        ).encode()
        self.mail(raw, mail_from=contact.address, to=self.reply_address(incident, contact))


def make_place(
    folder: Path, extra: str = "", prepare: Callable[[Served], None] = lambda _: None, url: str = ""
) -> Place:
    """Start it; ``served.stop()`` ends it, ``database.close()`` as well. ``prepare`` is called before the start.

    ``url``: of the database, where ``prepare`` names another one than the default.
    """
    served = Served(folder, extra, forked=True)
    prepare(served)
    served.start()
    world = open_world(load(served.config))
    database = store.open_database(url or f"sqlite:///{served.database}")
    with database.writing() as conn:
        at = now()
        contoso = store.add_organisation(conn, "Contoso", at)
        store.add_domain(conn, contoso.id, "contoso.test", at, verified=True)
        alice = store.add_contact(conn, contoso.id, "alice@contoso.test", "Alice Adams", at)
        incident = store.open_incident(conn, contoso.id, "Odd sign-ins from Lagos", at)
        fabrikam = store.add_organisation(conn, "Fabrikam", at)
        store.add_domain(conn, fabrikam.id, "fabrikam.test", at, verified=True)
        bob = store.add_contact(conn, fabrikam.id, "bob@fabrikam.test", "Bob Baker", at)
        other = store.open_incident(conn, fabrikam.id, "Mass deletion of files", at)
    return Place(served, database, world, contoso, fabrikam, alice, bob, incident, other)
