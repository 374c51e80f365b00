"""Experts hear of what customers write in the portal as of what they write by mail."""

from __future__ import annotations

from datetime import timedelta

from outbound.alerts import AlertKind, AlertRules
from outbound.model import OrderOutcome
from outbound.schema import automatic_orders
from outbound.store.alerts import begin_alerts, order_alerts
from tests.outbound.conftest import NOW
from threads.model import AskedBy
from threads.store import open_database, upgrade
from threads.store.inquiries import ask
from threads.store.people import add_contact, add_organisation

MINUTE = timedelta(minutes=1)
TEAM = AlertRules(team=("team@desk.test",), digest=MINUTE)


def test_a_question_by_a_program_is_told_once_and_what_an_expert_wrote_down_is_not(tmp_path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'r.db'}")
    upgrade(database)
    with database.writing() as conn:
        begin_alerts(conn, NOW)
        contoso = add_organisation(conn, "Contoso", NOW)
        alice = add_contact(conn, contoso.id, "alice@contoso.test", "Alice", NOW)

        def question(by: AskedBy) -> None:
            ask(conn, contoso, "T", "Is it?", NOW + MINUTE, contact=alice, asked_by=by, actor="portal")

        question(AskedBy.CONSOLE)
        assert order_alerts(conn, TEAM, NOW + 2 * MINUTE) == ()
        question(AskedBy.API)
        other = AlertRules(team=TEAM.team, tell=frozenset(AlertKind) - {AlertKind.REPLY})
        assert order_alerts(conn, other, NOW + 2 * MINUTE) == ()
        assert order_alerts(conn, TEAM, NOW + 2 * MINUTE) == (OrderOutcome.ORDERED,)
        assert order_alerts(conn, TEAM, NOW + 9 * MINUTE) == ()
        params = conn.execute(automatic_orders.select()).one().params
    assert "INQ-000002" in params
    assert "Is it?" not in params
    database.close()
