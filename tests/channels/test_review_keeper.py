"""Each month's review is written by itself where that is set: once, in the month's first week, and to nobody whose mail an intruder reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from expertmail.console.api_notifications import Outgoing
from expertmail.review_keeper import ReviewKeeper, due_period, key_of
from expertmail.world import World
from outbound.model import SelfCheck
from outbound.review_period import period_named
from outbound.store.approvals import mails_of_request
from tests.console.place import Place, make_place, now
from threads.model import ContactKind
from threads.store.circumstances import distrust, trust
from threads.store.people import add_contact, organisation

SETTINGS = "[service_reviews]\nmonthly = true\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = make_place(tmp_path_factory.mktemp("keeper"), SETTINGS)
    with made.database.writing() as conn:
        for name, language in (("rita", "en"), ("yuki", "ja")):
            add_contact(
                conn,
                made.contoso.id,
                f"{name}@contoso.test",
                name.title(),
                now(),
                kind=ContactKind.SERVICE_REVIEW,
                language=language,
            )
    yield made
    made.database.close()
    made.served.stop()


def test_each_month_is_written_once_in_its_first_week_where_that_is_set(place: Place) -> None:
    clock = [datetime(2026, 10, 31, 23, 59, tzinfo=UTC)]
    woken: list[int] = []

    async def genuine(_: bytes) -> SelfCheck:
        return SelfCheck(genuine=True, verdict="genuine")

    world = place.world
    keeper = ReviewKeeper(
        place.database,
        outgoing=lambda: Outgoing(world, genuine, lambda: woken.append(1)),
        clock=lambda: clock[0],
    )
    month = period_named("2026-10")

    def written() -> int:
        asyncio.run(keeper.step())
        with place.database.reading() as conn:
            return len(mails_of_request(conn, key_of(place.contoso.id, month)))

    assert written() == 0  # the month is not over
    clock[0] = month.end + timedelta(hours=5)
    assert written() == 0  # its last mail may be on its way
    with place.database.writing() as conn:
        distrust(conn, place.contoso, "a stolen session", clock[0], by="ana")
    clock[0] = month.end + timedelta(hours=6)
    assert written() == 0  # an intruder would read it
    with place.database.writing() as conn:
        trust(conn, organisation(conn, place.contoso.id))
    assert written() == 2  # rita and yuki, and nobody of Fabrikam's
    clock[0] = month.end + timedelta(days=3)
    assert written() == 2  # once
    assert len(woken) == 1
    assert due_period(month.end + timedelta(days=8)) is None
    off = make_off(world)
    quiet = ReviewKeeper(
        place.database, outgoing=lambda: Outgoing(off, genuine, lambda: woken.append(1)),
        clock=lambda: datetime(2026, 10, 2, tzinfo=UTC),
    )  # fmt: skip
    asyncio.run(quiet.step())
    assert len(woken) == 1


def make_off(world: World) -> World:
    """The same world where no month is written by itself, as it is unless somebody wants it."""
    off = world.settings.service_reviews.model_copy(update={"monthly": False})
    return replace(world, settings=world.settings.model_copy(update={"service_reviews": off}))
