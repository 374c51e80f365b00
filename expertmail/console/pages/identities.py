"""Who is protected, which keys sign, what has to stand in DNS, and whether it does."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.dns_check.check import check_all
from expertmail.dns_check.codes import Severity
from expertmail.dns_check.sources import answered, operated_of, source_of
from expertmail.dns_check.view import zone_lines
from expertmail.faults import FaultError
from expertmail.signing_keys import key_state, readable_keys
from expertmail.world import public_records
from threads.access import Permission
from verifier.zone import write_zone

DEADLINE: Final = 60.0
"""Seconds for all questions of a check; a person waits."""
_one_at_a_time: Final = asyncio.Lock()
_LOOKS: Final = {
    Severity.OK: "good", Severity.ADVICE: "warn", Severity.FAULT: "bad", Severity.UNCHECKED: "calm",
}  # fmt: skip
_ORDER: Final = (Severity.FAULT, Severity.UNCHECKED, Severity.ADVICE, Severity.OK)


async def show(visit: Visit) -> Response:
    """Identities, keys and the records to publish. They belong to no customer."""
    visit.require(Permission.READ, None)
    return await _page(visit, ())


async def check(visit: Visit) -> Response:
    """Ask DNS now, and tell what is wrong there."""
    visit.require(Permission.KEEP_IDENTITIES, None)
    settings = visit.parts.api.outgoing.world.settings

    if _one_at_a_time.locked():
        raise HTTPException(429, "A check is under way; wait for it, then look again.")
    async with _one_at_a_time:
        try:
            operated = await visit.run(lambda: operated_of(settings, visit.now, (), {}))
            source = await visit.run(lambda: source_of(settings, None, None))
            async with asyncio.timeout(DEADLINE):
                found = await answered(check_all(operated), source)
        except FaultError as fault:
            raise HTTPException(503, fault.sentence) from fault
        except TimeoutError as error:
            raise HTTPException(503, "DNS did not answer in time; try again.") from error
    return await _page(visit, sorted(found, key=lambda one: _ORDER.index(one.severity)))


async def _page(visit: Visit, findings: object) -> Response:
    world = visit.parts.api.outgoing.world

    def work() -> tuple[list[tuple[str, str, str]], str]:
        keys = [
            (selector, key.algorithm.decode(), key_state(selector, world.keys))
            for selector, key in readable_keys(world.settings).items()
        ]
        return keys, write_zone(public_records(world.settings, world.key, world.second)).strip()

    keys, records = await visit.run(work)
    return await visit.page(
        "identities.html",
        identities=world.identities,
        keys=keys,
        domain=world.settings.sender_domain,
        records=records,
        findings=findings,
        looks=_LOOKS,
        zone_lines=zone_lines,
        may_check=visit.signed_in.may(Permission.KEEP_IDENTITIES, None),
    )


PAGES: Final = (
    Page("GET", "/identities", "identities", Permission.READ, show),
    Page("POST", "/identities/dns-check", "dns-check", Permission.KEEP_IDENTITIES, check),
)
