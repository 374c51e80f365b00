"""Bursts of clients are spread over the workers, whatever state the workers are in."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from smtp_gateway.connection import PARTING_SECONDS
from tests.proofs.served import Served
from tests.proofs.test_operation import worker_processes

WAIT_SECONDS = 30
MANY = 2_000
DESCRIPTORS = 2 * MANY


@contextmanager
def burst(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many clients that connect in one moment; each has been greeted when the block begins."""
    with ExitStack() as stack, selectors.DefaultSelector() as waiting:
        links = [stack.enter_context(socket.socket()) for _ in range(count)]
        for link in links:
            link.setblocking(False)  # noqa: FBT003 - the socket interface has no name for it
            link.connect_ex(("127.0.0.1", port))
            waiting.register(link, selectors.EVENT_READ)
        deadline = time.monotonic() + WAIT_SECONDS
        while waiting.get_map():
            assert time.monotonic() < deadline, f"{len(waiting.get_map())} of {count} were not greeted"
            for key, _ in waiting.select(1):
                link = key.fileobj
                assert isinstance(link, socket.socket)
                assert link.recv(200).startswith(b"220 ")
                waiting.unregister(link)
        yield links


def open_sockets(process: int) -> int:
    """Sockets that a process holds, by the system's own word."""
    found = 0
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            found += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return found


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("balance"), "[smtp]\nworkers = 2\nmax_connections = 3000\n")
    with served:
        resting(worker_processes(served))
        yield served


def resting(workers: list[int]) -> None:
    """Wait until whoever asked whether the gateway is there has gone: a session lingers for two seconds at most."""
    deadline = time.monotonic() + WAIT_SECONDS
    seen, since = [open_sockets(one) for one in workers], time.monotonic()
    while time.monotonic() < since + PARTING_SECONDS + 0.5:
        assert time.monotonic() < deadline, "the workers never rest"
        time.sleep(0.05)
        now = [open_sockets(one) for one in workers]
        if now != seen:
            seen, since = now, time.monotonic()


def split(served: Served, count: int) -> list[int]:
    """How many clients of one burst each worker has."""
    workers = worker_processes(served)
    before = [open_sockets(one) for one in workers]
    begun = time.monotonic()
    with burst(served.smtp_port, count):
        seconds = time.monotonic() - begun
        taken = [open_sockets(one) - had for one, had in zip(workers, before, strict=True)]
    print(f"{count} clients: {taken} in {seconds:.3f} s")
    until_they_have_gone(workers, before)
    assert sum(taken) == count
    return taken


def until_they_have_gone(workers: list[int], before: list[int]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while [open_sockets(one) for one in workers] != before:
        assert time.monotonic() < deadline, "sessions stay without clients"
        time.sleep(0.05)


@pytest.mark.parametrize(("count", "most_apart"), [(20, 2), (64, 4), (MANY, 100)])
def test_a_burst_is_split_evenly(two_workers: Served, count: int, most_apart: int) -> None:
    apart = sorted(abs(one - other) for one, other in (split(two_workers, count) for _ in range(3)))
    assert apart[1] <= most_apart, "but for one time when the machine was busy with something else"


def test_a_worker_that_hangs_costs_new_clients_only_a_moment(two_workers: Served) -> None:
    hung, other = worker_processes(two_workers)
    before = open_sockets(other)
    os.kill(hung, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with burst(two_workers.smtp_port, 50):
            seconds = time.monotonic() - begun
            assert open_sockets(other) - before == 50
        print(f"50 clients beside a hung worker: {seconds:.3f} s")
        assert seconds < 2
    finally:
        os.kill(hung, signal.SIGCONT)
