"""A limit holds for all workers together, whichever of them a client comes to, and a worker's death gives back what it held."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
from collections.abc import Callable
from contextlib import ExitStack

from tests.proofs.served import Served
from tests.proofs.test_balance import open_sockets, resting
from tests.proofs.test_operation import until, worker_processes

CLIENT = "127.0.0.5"
MOST = 10
LIMITS = f"""[smtp]
workers = 2
unlimited_networks = []
max_address_connections = {MOST}
address_messages_per_minute = 6
"""


def connected(served: Served, stack: ExitStack) -> str:
    """The first word a further connection hears; one that is greeted stays."""
    link = socket.create_connection(("127.0.0.1", served.smtp_port), 10, (CLIENT, 0))
    word = link.recv(200).decode()
    if word.startswith("220"):
        stack.enter_context(link)
    else:
        link.close()
    return word[:9]


def test_connections_of_an_address_are_counted_together_and_a_dead_workers_are_given_back(
    serve: Callable[..., Served],
) -> None:
    served = serve(LIMITS)
    served.start()
    workers = worker_processes(served)
    resting(workers)  # who asked whether the gateway is there is a session of one of them, and counts as its load
    idle = [open_sockets(one) for one in workers]
    with ExitStack() as stack:
        words = [connected(served, stack) for _ in range(MOST + 4)]
        assert words == ["220 mx.ex"] * MOST + ["421 4.7.0"] * 4, words
        until(lambda: sum(map(open_sockets, workers)) == sum(idle) + MOST)  # the refused have gone
        held = [open_sockets(one) - had for one, had in zip(workers, idle, strict=True)]
        assert min(held) >= MOST // 2 - 2, f"both have their part, and nobody was refused at half the limit: {held}"
        os.kill(workers[0], signal.SIGKILL)
        until(lambda: len(set(worker_processes(served)) - {workers[0]}) == 2)
        words = [connected(served, stack) for _ in range(held[0] + 2)]
        assert words == ["220 mx.ex"] * held[0] + ["421 4.7.0"] * 2


def test_messages_a_minute_are_counted_together(serve: Callable[..., Served]) -> None:
    served = serve(LIMITS)
    served.start()
    codes = []
    with ExitStack() as stack:
        clients = [
            stack.enter_context(
                smtplib.SMTP("127.0.0.1", served.smtp_port, source_address=(CLIENT, 0), timeout=20)
            )
            for _ in range(8)
        ]
        for client in clients:
            client.ehlo()
            codes.append(client.mail("a@b.test")[0])
            if codes[-1] == 250:
                assert client.rcpt("query@experts.test")[0] == 250
                client.data(f"Subject: {len(codes)}\r\n\r\nx\r\n")
    assert codes == [250] * 6 + [421] * 2
