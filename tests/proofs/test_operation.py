"""Operation under load: whatever the admin does, clients see clean replies, and what was acknowledged is there once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.proofs.load import alice_is_known, every_acknowledged_message_is_there_once, load
from tests.proofs.served import Served

FULL = bool(os.environ.get("FULL"))
CLIENTS = 8
QUIET = '[log]\nlevel = "warning"\n'


@pytest.mark.slow
def test_sigterm_under_load_gives_clean_replies_only(serve: Callable[..., Served]) -> None:
    served = serve(QUIET)
    served.start()
    alice_is_known(served)
    with load(served, CLIENTS) as clients:
        for _ in range(20 if FULL else 3):
            time.sleep(1)
            assert served.stop() == 0
            served.start()
        time.sleep(1)
    served.stop()
    assert [line for client in clients for line in client.unclean] == []
    assert sum(client.told_to_come_again for client in clients) > 0, "no session was there when it stopped"
    assert every_acknowledged_message_is_there_once(served, clients) > 100
    assert "Traceback" not in served.log.read_text()
