"""The chat of a server with PostgreSQL: what several write and read at one time, by HTTP and by mail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.console.api_table import Desk
from tests.console.place import make_place, now
from tests.console.test_chat import (
    SETTINGS,
    test_a_portal_that_echoes_everything_it_reads_makes_no_loop,
    test_an_expert_in_the_chat_reaches_who_reads_mail_only_once_and_the_answer_comes_back_once,
    test_each_reader_sees_every_entry_once_and_in_order_whoever_writes_meanwhile,
    test_the_same_message_at_the_same_moment_is_there_once,
)
from tests.proofs.served import Served
from tests.threads.test_postgresql import server  # the fixture
from threads import store

__all__ = [
    "server",
    "test_a_portal_that_echoes_everything_it_reads_makes_no_loop",
    "test_an_expert_in_the_chat_reaches_who_reads_mail_only_once_and_the_answer_comes_back_once",
    "test_each_reader_sees_every_entry_once_and_in_order_whoever_writes_meanwhile",
    "test_the_same_message_at_the_same_moment_is_there_once",
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, server: str) -> Iterator[Desk]:
    def prepare(served: Served) -> None:
        served.environment["EXPERTMAIL_DATABASE__URL"] = server  # a secret

    place = make_place(tmp_path_factory.mktemp("chat"), SETTINGS, prepare, url=server)
    with place.database.writing() as conn:
        store.add_contact(conn, place.contoso.id, "carl@contoso.test", "Carl", now(), reads_chat=True)
    yield Desk(place)
    place.database.close()
    place.served.stop()
