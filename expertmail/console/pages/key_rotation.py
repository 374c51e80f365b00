"""Other keys sign, in four steps: what each does, what has to be in DNS before, and a button where it can be taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail import rotation_steps as steps
from expertmail.console.pages.page import Page, Visit
from expertmail.faults import FaultError
from expertmail.rotation_steps import GivenUp, Hand
from expertmail.signing_keys import keys_in_force
from outbound.errors import SigningError
from outbound.key_rotation import KeysInForce, Pair, Retiring, Seen, Sighting, who_lacks
from threads.access import Permission

MAX_REASON: Final = 500
"""Characters of why somebody does not wait."""
DEADLINE: Final = 90.0
"""Seconds for all servers that are asked: the list of name servers, their addresses, and then all at one time."""
PATH: Final = "/identities/keys"
_LOOKS: Final = {Seen.YES: "good", Seen.NOT_THERE: "bad", Seen.OTHER: "bad", Seen.NO_ANSWER: "warn"}
_CHANGED: Final = "Meanwhile somebody else has changed the keys; look again."
_WHY: Final = "Write down why you do not wait."
_one_at_a_time: Final = asyncio.Lock()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands where. ``records`` are to be published for the next keys; ``lost`` says which of their files is missing.

    ``earlier``: each earlier pair with why it is still needed, None where it may go.
    """

    keys: KeysInForce
    records: tuple[str, ...]
    lost: str
    earlier: tuple[tuple[Retiring, str | None], ...]


async def show(visit: Visit) -> Response:
    """Where the rotation stands, and its next step."""
    return await _page(visit)


async def publish(visit: Visit) -> Response:
    """Make the next keys; again, those whose files are missing."""
    try:
        begun, made = await _work(visit, lambda: steps.publish(_hand(visit)))
    except HTTPException as refused:
        return await _page(visit, trouble=refused.detail, status=409)
    if any(one.zone is not None for one in made):
        visit.parts.reload()  # our own zone has other records now
    if begun.next is None or not made:
        return visit.go(PATH, "The next keys were there already.")
    return visit.go(PATH, f"Made: {_both(begun.next)}. They sign nothing yet: publish their records.")


async def see(visit: Visit) -> Response:
    """Ask DNS for the next keys' records; nothing is changed."""
    keys = await _work(visit, lambda: keys_in_force(_hand(visit).settings))
    if keys.next is None:
        return await _page(visit, trouble="There are no next keys; make them first.", status=409)
    try:
        return await _page(visit, sightings=await _sightings(visit, keys))
    except HTTPException as refused:
        return await _page(visit, trouble=refused.detail, status=refused.status_code)


async def sign(visit: Visit) -> Response:
    """Let the next keys sign that were shown, once DNS, which is asked now, has their records everywhere."""
    forced = _reason(visit)
    if forced == "":
        return await _page(visit, trouble=_WHY, status=422)
    keys = await _work(visit, lambda: keys_in_force(_hand(visit).settings))
    if keys.next is None or visit.form.one("pair") != keys.next.rsa:
        return await _page(visit, trouble=_CHANGED, status=409)
    sightings: tuple[Sighting, ...] = ()
    try:
        sightings = await _sightings(visit, keys)
        if not forced and (not sightings or who_lacks(sightings)):
            trouble = "They do not sign yet: not everybody who was asked has their records."
            return await _page(visit, trouble=trouble, status=409, sightings=sightings)
        switched, before = await _work(
            visit, lambda: steps.sign(_hand(visit), keys.next, sightings, forced=forced or "")
        )
    except HTTPException as refused:
        return await _page(visit, trouble=refused.detail, status=refused.status_code, sightings=sightings)
    visit.parts.reload()
    signs, kept = _both(switched.signs), _both(before)
    return visit.go(
        PATH, f"Mail is signed with {signs} from now on. Keep the records of {kept} where they are."
    )


async def retire(visit: Visit) -> Response:
    """Give up an earlier pair for good, and show what to put in the place of its records."""
    forced, pair = _reason(visit), visit.form.one("pair")
    if forced == "":
        return await _page(visit, trouble=_WHY, status=422)
    if not pair:
        return await _page(visit, trouble=_CHANGED, status=409)

    def given_up() -> list[GivenUp]:
        return list(steps.retire(_hand(visit), only=pair, forced=forced or ""))

    try:
        done = await _work(visit, given_up)
    except HTTPException as refused:
        return await _page(visit, trouble=refused.detail, status=409)
    if not done:
        return await _page(visit, trouble=_CHANGED, status=409)
    if done[0].why is not None:
        return await _page(visit, trouble=f"{_both(done[0].pair)}: {done[0].why}.", status=409)
    visit.parts.reload()
    return await _page(visit, gone=done[0].pair)


def _reason(visit: Visit) -> str | None:
    """Why somebody does not wait, "" where that is not said; None for who waits."""
    return visit.form.one("reason")[:MAX_REASON] if visit.form.one("do") == "force" else None


def _both(pair: Pair) -> str:
    return " and ".join(pair.selectors)


def _hand(visit: Visit) -> Hand:
    api = visit.parts.api
    return Hand(api.outgoing.world.settings, api.database, visit.actor, visit.now)


async def _work(visit: Visit, work: Callable[[], T]) -> T:
    """Take a step off the event loop; HTTPException 409 with one sentence for what cannot be done."""

    def done() -> T:
        try:
            return work()
        except SigningError as error:
            raise HTTPException(409, str(error)) from error
        except FaultError as fault:
            raise HTTPException(409, fault.sentence) from fault

    visit.require(Permission.KEEP_IDENTITIES, None)
    return await visit.run(done)


async def _sightings(visit: Visit, keys: KeysInForce) -> tuple[Sighting, ...]:
    world = visit.parts.api.outgoing.world
    if _one_at_a_time.locked():
        raise HTTPException(429, "DNS is being asked; wait for it, then look again.")
    async with _one_at_a_time:
        try:
            async with asyncio.timeout(DEADLINE):
                return await steps.see(world.settings, keys, world.zone)
        except SigningError as error:
            raise HTTPException(409, str(error)) from error
        except TimeoutError as error:
            raise HTTPException(503, "DNS did not answer in time; try again.") from error


async def _page(
    visit: Visit,
    *,
    trouble: str = "",
    status: int = 200,
    sightings: Sequence[Sighting] = (),
    gone: Pair | None = None,
) -> Response:
    world = visit.parts.api.outgoing.world

    def standing() -> Standing:
        keys = keys_in_force(world.settings)
        try:
            records, lost = steps.records_of_next(world.settings, keys), ""
        except SigningError as error:
            records, lost = (), str(error)
        earlier = tuple(
            (one, steps.needed(world.settings, visit.parts.api.database, one, visit.now))
            for one in keys.retiring
        )
        return Standing(keys, records, lost, earlier)

    found = await _work(visit, standing)
    return await visit.page(
        "key_rotation.html",
        status=status,
        trouble=trouble,
        s=found,
        keys=found.keys,
        both=_both,
        domain=world.settings.sender_domain,
        days=world.settings.dkim.keep_days,
        waits_for_reload=world.keys.signs != found.keys.signs,
        sightings=sightings,
        all_have_them=bool(sightings) and not who_lacks(sightings),
        looks=_LOOKS,
        gone=gone,
        revocations=() if gone is None else steps.revocations(world.settings, gone),
    )


PAGES: Final = (
    Page("GET", PATH, "keys", Permission.KEEP_IDENTITIES, show),
    Page("POST", f"{PATH}/publish", "keys-publish", Permission.KEEP_IDENTITIES, publish),
    Page("POST", f"{PATH}/see", "keys-see", Permission.KEEP_IDENTITIES, see),
    Page("POST", f"{PATH}/sign", "keys-sign", Permission.KEEP_IDENTITIES, sign),
    Page("POST", f"{PATH}/retire", "keys-retire", Permission.KEEP_IDENTITIES, retire),
)
