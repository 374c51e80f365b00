"""The console's listener, and what readiness means."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn

from expertmail.console.app import Console
from expertmail.faults import FaultError
from threads.store.errors import StoreError
from threads.store.writer import Writer

BACKLOG = 128  # connections that the kernel holds for us
READ_MAX = 1_024  # of our own SMTP greeting
READY_SECONDS = 3.0  # for one readiness check; a database that takes longer cannot take mail
CONSOLE_DRAIN_SECONDS = 5  # for HTTP requests under way when the process stops


class ConsoleServer(uvicorn.Server):
    """uvicorn without signal handlers: the process has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def console_server(console: Console) -> ConsoleServer:
    """Uvicorn with our application, quiet, and in the loop that runs it."""
    return ConsoleServer(
        uvicorn.Config(
            console.application(),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # nobody may pretend to be on this machine
            timeout_graceful_shutdown=CONSOLE_DRAIN_SECONDS,
        )
    )


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket for the console; FaultError with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, port))
            made.listen(BACKLOG)
        except OSError as error:
            why = {
                errno.EADDRINUSE: "the port is in use; stop what uses it or choose another one",
                errno.EACCES: "a port under 1024 needs privileges; choose another one",
            }.get(
                error.errno or 0, f"{(error.strerror or 'no such address').lower()}; choose another address"
            )
            raise FaultError(f"The console cannot listen on {host}:{port}: {why} (console.port).") from error
        made.setblocking(False)  # noqa: FBT003 - the socket interface has no name for it
        yield made


def readiness(
    host: str, port: int, writer: Writer, is_proxy: Callable[[str], bool]
) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """Checks what taking mail needs: a transaction on the database, and a greeting from our own listener.

    The greeting comes from whoever takes mail, this process or a worker. ``is_proxy`` tells whether an address of ours
    is one of a proxy's, so that a header is expected of it.
    """

    async def database() -> str:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await writer.submit(lambda _: None)
        except StoreError as error:
            return str(error)
        except TimeoutError:
            return "The database does not answer."
        return "ok"

    async def smtp() -> str:
        try:
            async with asyncio.timeout(READY_SECONDS):
                return await _greeting(host, port, is_proxy)
        except (OSError, TimeoutError):
            return "The SMTP listener does not answer."

    async def ready() -> Mapping[str, str]:
        return dict(zip(("database", "smtp"), await asyncio.gather(database(), smtp()), strict=True))

    return ready


async def _greeting(host: str, port: int, is_proxy: Callable[[str], bool]) -> str:
    """What the listener says to a client."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    reader, writer = await asyncio.open_connection(near, port)
    try:
        if is_proxy(writer.get_extra_info("sockname")[0]):
            writer.write(b"PROXY UNKNOWN\r\n")  # we stand where a proxy does, and speak for nobody
        greeting = await reader.readline()
        writer.write(b"QUIT\r\n")
        await writer.drain()
        await reader.read(READ_MAX)
    finally:
        writer.close()
    return "ok" if greeting.startswith(b"220") else "The SMTP listener takes no more connections."
