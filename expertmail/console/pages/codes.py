"""The code in a mail of ours: which mail it was. It proves nothing of the mail that somebody has in hand."""

from __future__ import annotations

import time
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.login_throttle import LoginThrottle
from expertmail.console.pages.client import address_of
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import written
from outbound.mail_code import MailCodes, plain_code
from outbound.store import organisation_of_mail
from outbound.store.codes import CodedMail, mail_of_code
from threads.access import Permission
from threads.store import Connection
from threads.store.audit import record_act

_NONE: Final = "No mail of ours to you bears that code."
_NO_CODE: Final = "That is no code of ours: one character or more is wrong, or it is not whole."

_throttle = LoginThrottle()  # a person asks for one or two; nobody tries them all


async def show(visit: Visit) -> Response:
    """The form."""
    return await visit.page("codes.html", trouble="", found=None, code="")


async def look_up(visit: Visit) -> Response:
    """Tell which mail bears a code; of a mail to another customer as little as of none."""
    code, now = visit.form.one("code")[:100], time.monotonic()
    name, address = visit.actor, address_of(visit)
    if _throttle.wait(name, address, None, now) > 0:
        raise HTTPException(429, "That were many codes in a short time. Wait a minute.")
    plain = plain_code(code)
    if plain is None:
        return await visit.page("codes.html", status=422, trouble=_NO_CODE, found=None, code=code)
    _throttle.begun(name, address, None, now)
    keys = MailCodes(tuple(visit.parts.api.outgoing.world.replies.keys)).keys_of(plain)

    def work(conn: Connection) -> CodedMail | None:
        found = mail_of_code(conn, keys)
        whose = None if found is None else organisation_of_mail(conn, found.outgoing_id)
        seen = found is not None and visit.signed_in.may(Permission.VERIFY, whose)
        subject = "no mail" if found is None else f"mail {found.outgoing_id}"
        record_act(conn, "code-looked-up", visit.now, by=visit.actor, subject=subject, organisation_id=whose)
        return found if seen else None

    found = await written(visit, work)
    if found is not None:
        _throttle.succeeded(name, address, None)
    trouble = "" if found is not None else _NONE
    reads = visit.signed_in.account.may_anywhere(Permission.READ)
    return await visit.page("codes.html", trouble=trouble, found=found, code=code, reads=reads)


PAGES: Final = (
    Page("GET", "/codes", "codes", Permission.VERIFY, show),
    Page("POST", "/codes", "code-look-up", Permission.VERIFY, look_up),
)
