"""Somebody's own account: password, second factor, recovery codes and sessions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.one_time_codes import (
    address_of as code_address_of,
)
from expertmail.console.one_time_codes import (
    new_recovery_codes,
    new_secret,
    opened,
    picture_of,
    recovery_digest,
    sealed,
    step_of,
)
from expertmail.console.pages.client import address_of
from expertmail.console.pages.page import Open, Page, Visit
from expertmail.console.pages.role_words import roles_in_words
from expertmail.console.pages.signing_in import forget, keep, key_of, know, throttle, wait_words
from expertmail.console.passwords import hash_password, is_password, password_refusal
from threads.access import Account
from threads.store import Connection
from threads.store.account_secrets import (
    recovery_codes_left,
    set_password,
    set_recovery_codes,
    set_second_factor,
    use_step,
)
from threads.store.accounts import account_by_id
from threads.store.audit import record_act
from threads.store.people import list_organisations
from threads.store.sessions import end_session, end_sessions, sessions_of
from threads.ticket import read_ticket

ENROL_LASTS: Final = timedelta(minutes=15)
"""To set up an authenticator."""
_ENROL: Final = "expertmail-second-factor"
_REFUSED: Final = 422
_ASKED_OFTEN: Final = "That is not your password."

T = TypeVar("T")


async def show(visit: Visit) -> Response:
    """What there is."""
    return await _page(visit)


async def change_password(visit: Visit) -> Response:
    """Another password; all other sessions end."""
    viewer = visit.signed_in
    new = visit.form.text("password")
    refusal = password_refusal(new, viewer.account.name)
    if refusal is None and new != visit.form.text("again"):
        refusal = "The two passwords differ; type the same one twice."
    if refusal is None and not await _knows_password(visit):
        refusal = _ASKED_OFTEN
    if refusal is not None:
        return await _page(visit, trouble=refusal)

    hashed = await visit.run(lambda: hash_password(new))

    def work(conn: Connection) -> Account:
        set_password(conn, viewer.account.id, hashed, visit.now)
        end_sessions(conn, viewer.account.id, visit.now, by=visit.actor, but=viewer.session.id)
        _acted(conn, visit, "password-set")
        return account_by_id(conn, viewer.account.id)

    changed = await _written(visit, work)
    answer = visit.go("/account", "Your password is changed, and all other sessions are ended.")
    know(visit, answer, changed)
    return answer


async def show_second_factor(visit: Visit) -> Response:
    """A new secret, as a picture and as text; it counts once a code of it was typed."""
    _refuse_to_set_up(visit.signed_in.account)
    return await _enrol(visit, new_secret())


async def turn_on_second_factor(visit: Visit) -> Response:
    """The first code is right: from now on each sign-in asks for one."""
    account = visit.signed_in.account
    _refuse_to_set_up(account)
    cookie = visit.request.cookies.get(_ENROL, "")
    said = read_ticket(key_of(visit), f"second-factor {account.id}", cookie, visit.now, ENROL_LASTS)
    secret = None if said is None else opened(bytes.fromhex(said["sealed"]), key_of(visit), account.id)
    if secret is None:
        return visit.go("/account/second-factor", "That took too long; here is a new one.")
    step = step_of(secret, visit.form.one("code"), visit.now)
    if step is None:
        return await _enrol(visit, secret, trouble="That code is not right. Is the telephone's clock right?")
    codes = new_recovery_codes()

    def work(conn: Connection) -> None:
        _refuse_to_set_up(account_by_id(conn, account.id))
        digests = [recovery_digest(one, account.id) for one in codes]
        set_second_factor(conn, account.id, sealed(secret, key_of(visit), account.id), digests)
        use_step(conn, account.id, step)
        end_sessions(conn, account.id, visit.now, by=visit.actor, but=visit.signed_in.session.id)
        _acted(conn, visit, "second-factor-on")

    await _written(visit, work)
    answer = await visit.page("recovery_codes.html", codes=codes)
    forget(visit, answer, _ENROL)
    return answer


async def turn_off_second_factor(visit: Visit) -> Response:
    """Sign in by password alone again; the password is asked for."""
    if not await _knows_password(visit):
        return await _page(visit, trouble=_ASKED_OFTEN)

    def work(conn: Connection) -> None:
        set_second_factor(conn, visit.signed_in.account.id, None)
        _acted(conn, visit, "second-factor-off")

    await _written(visit, work)
    return visit.go("/account", "The second factor is off.")


async def renew_recovery_codes(visit: Visit) -> Response:
    """Other recovery codes instead of those there were."""
    account = visit.signed_in.account
    if account.totp_sealed is None:
        raise HTTPException(409, "There is no second factor.")
    if not await _knows_password(visit):
        return await _page(visit, trouble=_ASKED_OFTEN)
    codes = new_recovery_codes()

    def work(conn: Connection) -> None:
        set_recovery_codes(conn, account.id, [recovery_digest(one, account.id) for one in codes])
        _acted(conn, visit, "recovery-codes-renewed")

    await _written(visit, work)
    return await visit.page("recovery_codes.html", codes=codes)


async def end_one(visit: Visit) -> Response:
    """End one of one's own sessions, or all others."""
    viewer, which = visit.signed_in, visit.form.one("session")

    def work(conn: Connection) -> int:
        if which == "others":
            ended = end_sessions(conn, viewer.account.id, visit.now, by=visit.actor, but=viewer.session.id)
        else:
            mine = {str(one.id): one.id for one in sessions_of(conn, viewer.account.id, visit.now)}
            if which not in mine:  # as we wrote it: no other spelling of a number can be somebody else's
                raise HTTPException(404)
            ended = int(end_session(conn, mine[which], visit.now, by=visit.actor))
        _acted(conn, visit, "sessions-ended", str(ended))
        return ended

    number = await _written(visit, work)
    return visit.go("/account", f"{number} session{'' if number == 1 else 's'} ended.")


async def _knows_password(visit: Visit) -> bool:
    """Whoever sits down at an open session does not get to keep the account."""
    stored, typed = visit.signed_in.account.password_hash, visit.form.text("old")
    name, address, now = f"{visit.actor} (account)", address_of(visit), time.monotonic()
    if (wait := throttle.wait(name, address, None, now)) > 0:
        raise HTTPException(429, wait_words(wait), headers={"Retry-After": str(math.ceil(wait))})
    throttle.begun(name, address, None, now)
    known = await visit.run(lambda: is_password(stored, typed))
    if known:
        throttle.succeeded(name, address, None)
    return known


async def _enrol(visit: Visit, secret: str, *, trouble: str = "") -> Response:
    account = visit.signed_in.account
    address = code_address_of(secret, account.name)
    answer = await visit.page(
        "second_factor.html",
        status=_REFUSED if trouble else 200,
        trouble=trouble,
        picture=picture_of(address),
        secret=" ".join(secret[number : number + 4] for number in range(0, len(secret), 4)),
    )
    # Sealed, since whoever reads the browser's files must not learn it.
    kept = {"sealed": sealed(secret, key_of(visit), account.id).hex()}
    keep(visit, answer, _ENROL, purpose=f"second-factor {account.id}", values=kept, lasts=ENROL_LASTS)
    return answer


async def _page(visit: Visit, *, trouble: str = "") -> Response:
    viewer = visit.signed_in

    def work() -> dict[str, object]:
        with visit.parts.api.database.reading() as conn:
            account = account_by_id(conn, viewer.account.id)
            names = {one.id: one.name for one in list_organisations(conn)}
            return {
                "account": account,
                "roles": roles_in_words(account.grants, names),
                "sessions": sessions_of(conn, account.id, visit.now),
                "codes_left": recovery_codes_left(conn, account.id),
            }

    found = await visit.run(work)
    return await visit.page("account.html", status=_REFUSED if trouble else 200, trouble=trouble, **found)


async def _written(visit: Visit, work: Callable[[Connection], T]) -> T:
    def done() -> T:
        with visit.parts.api.database.writing() as conn:
            return work(conn)

    return await visit.run(done)


def _acted(conn: Connection, visit: Visit, act: str, detail: str = "") -> None:
    account: Account = visit.signed_in.account
    record_act(conn, act, visit.now, by=account.name, subject=account.name, detail=detail)


def _refuse_to_set_up(account: Account) -> None:
    """Another secret in place of one that is in force would need no password, as turning it off does."""
    if account.password_hash is None:  # nothing would ever ask for it, nor let its owner turn it off
        raise HTTPException(409, "You sign in elsewhere, and what is asked for there is asked for there.")
    if account.totp_sealed is not None:
        raise HTTPException(409, "There is a second factor already. Turn it off first, then set up another.")


PAGES: Final = (
    Page("GET", "/account", "account", Open.SIGNED_IN, show),
    Page("POST", "/account/password", "account-password", Open.SIGNED_IN, change_password),
    Page("GET", "/account/second-factor", "second-factor", Open.SIGNED_IN, show_second_factor),
    Page("POST", "/account/second-factor", "second-factor-on", Open.SIGNED_IN, turn_on_second_factor),
    Page("POST", "/account/second-factor/off", "second-factor-off", Open.SIGNED_IN, turn_off_second_factor),
    Page("POST", "/account/recovery-codes", "recovery-codes", Open.SIGNED_IN, renew_recovery_codes),
    Page("POST", "/account/sessions", "account-sessions", Open.SIGNED_IN, end_one),
)
