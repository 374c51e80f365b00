"""Incidents, their acts, and messages."""

from __future__ import annotations

from tests.console.examples import Example
from tests.console.place import Place, now
from threads.model import TaskSource
from threads.store.tasks import add_task, list_tasks


def on(rest: str = ""):
    return lambda place: f"/incidents/{place.incident.reference}{rest}"


def of_message(rest: str = ""):
    return lambda place: f"/messages/{place.message()}{rest}"


def task_path(place: Place) -> str:
    with place.database.writing() as conn:
        there = list_tasks(conn, place.incident.id) or (
            add_task(conn, place.incident, "Look", TaskSource.GUIDED_RESPONSE, now(), by="test"),
        )
    return f"/incidents/{place.incident.reference}/tasks/{there[0].number}"


def html_path(place: Place) -> str:
    """Of a message that has HTML."""
    found = place.made.get("html message")
    if found is None:
        to = place.reply_address(place.incident, place.alice)
        raw = (
            f"From: alice@contoso.test\r\nTo: {to}\r\nSubject: Re: x\r\nMessage-ID: <html@contoso.test>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
            "Content-Type: text/html\r\n\r\n<p onclick='alert(1)'>Hello <b>there</b></p><script>alert(1)</script>\r\n--b\r\n"
            "Content-Type: application/pdf; name=x.pdf\r\nContent-Disposition: attachment; filename=x.pdf\r\n\r\n%PDF\r\n--b--\r\n"
        )
        place.mail(raw.encode(), mail_from="alice@contoso.test", to=to)
        found = place.made["html message"] = place.message()
    return f"/messages/{found}/html"


EXAMPLES: tuple[Example, ...] = (
    Example("incidents", lambda _: "/incidents", "all"),
    Example("search", lambda p: f"/search?words=me&thread={p.incident.reference}", "all"),
    Example("new-incident", lambda _: "/incidents/new", "all"),
    Example(
        "new-incident-open", lambda _: "/incidents/new", "contoso",
        lambda p: {"customer": str(p.contoso.id), "title": "x"},
    ),
    Example("incident", on(), "contoso"),
    Example("incident-stands", on("/stands"), "contoso"),
    Example("incident-note", on("/notes"), "contoso", lambda _: {"text": "x"}),
    Example("incident-call", on("/calls"), "contoso", lambda _: {"text": "x"}),
    Example("incident-chat", on("/chat"), "contoso", lambda _: {"text": "x", "key": "k"}),
    Example("incident-task", on("/tasks"), "contoso", lambda _: {"title": "x"}),
    Example("incident-task-stands", task_path, "contoso", lambda _: {"status": "inProgress"}),
    Example("incident-move", on("/move"), "contoso"),
    Example("incident-move-do", on("/move"), "contoso"),
    Example("incident-merge", on("/merge"), "contoso"),
    Example("incident-merge-do", on("/merge"), "contoso", lambda p: {"into": p.other_incident.reference}),
    Example("customer-mode", lambda p: f"/customers/{p.contoso.id}/mode", "contoso"),
    Example("customer-mode-change", lambda p: f"/customers/{p.contoso.id}/mode", "contoso"),
    Example("message", of_message(), "contoso"),
    Example("message-source", of_message("/source"), "contoso"),
    Example("message-download", of_message("/message.eml"), "contoso"),
    Example("message-html", html_path, "contoso"),
    Example("message-evidence", of_message("/evidence.json"), "contoso"),
    Example("message-file", lambda p: html_path(p).replace("/html", "/files/1"), "contoso"),
)  # fmt: skip
