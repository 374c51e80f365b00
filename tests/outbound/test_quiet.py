"""Incidents that were imported, or opened with a time in the past, send nothing by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.quiet import CLOCKS_DIFFER, why_quiet
from outbound.store.quiet import mark_quiet
from tests.outbound.conftest import NOW
from threads.schema import metadata
from threads.store import moving
from threads.store.moving import merge_threads
from threads.store.thread import open_incident


@given(ago=st.timedeltas(timedelta(days=-1), timedelta(days=4_000)), imported=st.booleans())
def test_exactly_what_was_imported_or_is_of_the_past_is_quiet(ago: timedelta, imported: bool) -> None:
    assert (why_quiet(NOW - ago, NOW, imported=imported) is not None) == (imported or ago > CLOCKS_DIFFER)


@pytest.mark.parametrize("into_quiet", [True, False])
@pytest.mark.parametrize("source_quiet", [True, False])
def test_a_merged_incident_leaves_the_other_as_loud_or_quiet_as_it_was(world, record, source_quiet, into_quiet) -> None:
    def opened(conn, quiet):
        made = open_incident(conn, record.incident.organisation_id, "Of old", NOW)
        mark_quiet(conn, made, NOW, imported=quiet)
        return made

    source, into = world.write(opened, source_quiet), world.write(opened, into_quiet)
    world.write(merge_threads, source, into, NOW, by="Robin")
    world.acknowledge("k1", thread_id=into.id)
    world.work()
    assert len(world.transport.given) == (not into_quiet)


def test_what_a_thread_has_one_of_is_not_moved_to_another_by_the_common_rule() -> None:
    """Two would collide there, and one would speak of another thread than it was written about."""
    own = {
        one.name
        for one in metadata.tables.values()
        for key in one.primary_key.columns
        if any(there.column.table.name == "threads" for there in key.foreign_keys)
    }
    assert own
    assert own <= moving._KEPT_APART


@pytest.mark.parametrize(
    ("ago", "imported", "sent"),
    [
        (timedelta(0), False, 1),
        (CLOCKS_DIFFER, False, 1),
        (timedelta(hours=1), False, 0),
        (timedelta(days=400), False, 0),
        (timedelta(0), True, 0),
        (timedelta(days=400), True, 0),
    ],
)
def test_its_automatic_mail_is_refused_with_the_reason(world, record, ago, imported, sent) -> None:
    def opened(conn):
        made = open_incident(conn, record.incident.organisation_id, "Of old", NOW - ago)
        mark_quiet(conn, made, NOW, imported=imported)
        mark_quiet(conn, made, NOW, imported=imported)  # marking twice is marking once
        return made

    incident = world.write(opened)
    world.acknowledge("k1", thread_id=incident.id)
    world.acknowledge("k2", thread_id=record.incident.id)
    world.work()
    assert len(world.transport.given) == sent + 1
    first, other = world.orders()
    assert other.state == "composed"
    assert (first.state == "composed") == bool(sent)
    if not sent:
        assert "Nothing is sent automatically" in first.reason
