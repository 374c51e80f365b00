"""Connections at the edges of a gateway's life: nobody is reset who could have been told."""

from __future__ import annotations

import asyncio
import os
import resource
import socket

import pytest

from smtp_gateway import replies
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.listener import Listener, ListenError
from smtp_gateway.replies import SmtpReply
from smtp_gateway.server import GatewayServer
from tests.smtp_gateway.world import BOXES, bare_gateway, client, now


def test_a_client_that_sends_while_the_gateway_stops_is_told_and_not_reset() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got):
            with socket.create_connection(("127.0.0.1", server.port), 10) as link:
                lines = link.makefile("rb")
                assert (await asyncio.to_thread(lines.readline)).startswith(b"220")
                stopping = asyncio.create_task(server.stop())
                await asyncio.sleep(0.05)  # 421 has been said, and the client has not looked yet
                for command in (b"EHLO a.test", b"MAIL FROM:<a@b.test>", b"RCPT TO:<query@experts.test>"):
                    link.sendall(command + b"\r\n")
                    await asyncio.sleep(0.01)
                assert await asyncio.to_thread(lines.readline) == replies.SHUTTING_DOWN.line()
                assert await asyncio.to_thread(lines.readline) == b""
            await stopping
            assert not got

    asyncio.run(scenario())


def test_connections_that_wait_in_the_queue_of_a_gateway_that_stops_are_told() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _):
            # The event loop has no turn between these and the stop, so that nobody has accepted them.
            links = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(100)]
            stopping = asyncio.create_task(server.stop())
            for link in links:
                with link:
                    assert (await asyncio.to_thread(link.recv, 100)).startswith(b"421 4.3.2")
            await stopping
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.port), 10)

    asyncio.run(scenario())


def test_a_gateway_that_retires_leaves_new_clients_to_its_successor_and_serves_its_own_to_their_end() -> None:
    async def scenario() -> None:
        listener = Listener.bound("127.0.0.1", 0)
        got: list[str] = []

        def server(name: str) -> GatewayServer:
            async def take(envelope: Envelope) -> SmtpReply:
                got.append(f"{name} {envelope.mail_from}")
                return replies.accepted(envelope.id)

            settings = GatewaySettings(name, name)
            return GatewayServer(settings, BOXES, take, now, listener=listener.copy())

        first, second = server("old.test"), server("new.test")
        await first.start()
        async with client(listener.port) as early:
            await second.start()
            retiring = asyncio.create_task(first.retire())
            await asyncio.sleep(0)
            async with client(listener.port) as late:
                for talk in (early, late):
                    await talk.begin()
                    talk.send(b"x\r\n.\r\n")
                    assert (await talk.reply()).startswith("250")
            assert not retiring.done()
        await retiring
        assert sorted(line.split()[0] for line in got) == ["new.test", "old.test"]
        await second.stop()
        listener.close()

    asyncio.run(scenario())


def test_a_process_that_has_no_descriptor_left_lets_clients_wait_and_goes_on() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _):
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            link = socket.socket()
            highest = os.dup(link.fileno())
            os.close(highest)
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest, before[1]))
                await asyncio.to_thread(link.connect, ("127.0.0.1", server.port))
                await asyncio.sleep(0.1)
                assert server.connections == 0
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
            with link:
                link.settimeout(10)
                assert (await asyncio.to_thread(link.recv, 100)).startswith(b"220")

    asyncio.run(scenario())


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(ListenError, match="no such address"):
        Listener.bound("no.such.host.test", 2525)
