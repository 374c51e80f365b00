"""What an expert writes in an incident's chat: on the timeline at once, and by mail to contacts who read mail only."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.chat_acts import chat_recorded
from expertmail.console.pages.incident import incident_page
from expertmail.console.pages.incident_acts import entered
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import thread_for, written
from outbound.store.chat import chat_refusal
from threads.access import Permission
from threads.chat import CONSOLE, MAX_NAME, MAX_NUMBER, ChatMessage
from threads.model import ActorKind
from threads.store import Connection
from threads.store.errors import RefusedRecord


async def write(visit: Visit) -> Response:
    """Put it there once, however often the form is sent."""
    reference, key = visit.request.path_params["reference"], visit.form.one("key")

    def work(conn: Connection) -> tuple[str, str]:
        thread, _ = thread_for(conn, visit, reference, Permission.COMPOSE)
        why = chat_refusal(conn, thread)
        if why is not None:
            raise RefusedRecord(why)
        if not 0 < len(key) <= MAX_NUMBER:
            raise HTTPException(422, "Send the whole form.")
        message = ChatMessage(CONSOLE, key, ActorKind.EXPERT, visit.actor[:MAX_NAME], entered(visit))
        put = chat_recorded(conn, thread, message, thread.reference, visit.now, by=visit.actor)
        return thread.reference, "It stands there already." if put.again else "It is in the chat."

    try:
        named, said = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await incident_page(visit, trouble=error.detail, status=error.status_code)
    return visit.go(f"/incidents/{named}", said)


PAGES = (Page("POST", "/incidents/{reference}/chat", "incident-chat", Permission.COMPOSE, write),)
