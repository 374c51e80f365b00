"""The PROXY protocol (HAProxy, doc/proxy-protocol.txt): the reader as a table, then over sockets, then from HAProxy."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from smtp_gateway import greeting
from smtp_gateway.gateway_settings import GatewaySettings, Limits
from smtp_gateway.proxy_protocol import V1_MAX, V2_MAX, ProxyHeader, ProxyHeaderError, read_header
from tests.smtp_gateway.world import Talk, bare_gateway, client

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
PROXIES = (ip_network("127.0.0.1/32"),)


def v2(command: int, family: int, payload: bytes, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return SIGNATURE + bytes((command, family)) + size.to_bytes(2) + payload


TCP4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.2") + (4096).to_bytes(2) + (25).to_bytes(2)
TCP6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    + (4096).to_bytes(2)
    + (25).to_bytes(2)
)
TLVS = b"\x04\x00\x03\x00\x00\x00" + b"\x20\x00\x10" + b"x" * 16

GOOD = {
    "v1 TCP4": (b"PROXY TCP4 192.0.2.1 198.51.100.2 4096 25\r\n", "192.0.2.1", 4096),
    "v1 TCP6": (b"PROXY TCP6 2001:DB8::1 2001:db8::2 65535 25\r\n", "2001:db8::1", 65_535),
    "v1 port 0": (b"PROXY TCP4 192.0.2.1 198.51.100.2 0 25\r\n", "192.0.2.1", 0),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None, 0),
    "v1 unknown with more": (
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        None,
        0,
    ),
    "v2 TCP4": (v2(0x21, 0x11, TCP4), "192.0.2.1", 4096),
    "v2 TCP6": (v2(0x21, 0x21, TCP6), "2001:db8::1", 4096),
    "v2 with TLVs": (v2(0x21, 0x11, TCP4 + TLVS), "192.0.2.1", 4096),
    "v2 local": (v2(0x20, 0x00, b""), None, 0),
    "v2 local with addresses": (v2(0x20, 0x11, TCP4), None, 0),
    "v2 unspecified": (v2(0x21, 0x00, b"whatever"), None, 0),
    "v2 at its cap": (v2(0x21, 0x11, TCP4 + b"x" * (V2_MAX - 28)), "192.0.2.1", 4096),
}
BAD = {
    "an SMTP client": b"EHLO me.test\r\n",
    "v1 in lower case": b"proxy TCP4 192.0.2.1 198.51.100.2 4096 25\r\n",
    "v1 without CR": b"PROXY TCP4 192.0.2.1 198.51.100.2 4096 25\n",
    "v1 two blanks": b"PROXY TCP4  192.0.2.1 198.51.100.2 4096 25\r\n",
    "v1 other family": b"PROXY TCP4 2001:db8::1 2001:db8::2 4096 25\r\n",
    "v1 mixed families": b"PROXY TCP6 2001:db8::1 198.51.100.2 4096 25\r\n",
    "v1 octal": b"PROXY TCP4 192.0.2.01 198.51.100.2 4096 25\r\n",
    "v1 short address": b"PROXY TCP4 192.0.2 198.51.100.2 4096 25\r\n",
    "v1 port too high": b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n",
    "v1 port with zeros": b"PROXY TCP4 192.0.2.1 198.51.100.2 0025 25\r\n",
    "v1 negative port": b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n",
    "v1 missing port": b"PROXY TCP4 192.0.2.1 198.51.100.2 4096\r\n",
    "v1 scope": b"PROXY TCP6 fe80::1%eth0 2001:db8::2 4096 25\r\n",
    "v1 another word": b"PROXY UDP4 192.0.2.1 198.51.100.2 4096 25\r\n",
    "v1 unknown and a control": b"PROXY UNKNOWN \x00\r\n",
    "v1 unknown without a blank": b"PROXY UNKNOWNx\r\n",
    "v1 without end": b"PROXY TCP4 " + b"1" * V1_MAX,
    "v1 NUL": b"PROXY TCP4 192.0.2.1\x00 198.51.100.2 4096 25\r\n",
    "v2 version 1": v2(0x11, 0x11, TCP4),
    "v2 version 3": v2(0x31, 0x11, TCP4),
    "v2 another command": v2(0x22, 0x11, TCP4),
    "v2 UDP": v2(0x21, 0x12, TCP4),
    "v2 unix": v2(0x21, 0x31, b"x" * 216),
    "v2 too short for its addresses": v2(0x21, 0x11, TCP4[:11]),
    "v2 TCP6 with the length of TCP4": v2(0x21, 0x21, TCP4),
    "v2 over the cap": v2(0x21, 0x11, TCP4, length=0xFFFF),
    "v2 broken signature": SIGNATURE[:-1] + b"\r" + v2(0x21, 0x11, TCP4)[12:],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_header_is_read_at_its_last_octet_and_not_before(name: str) -> None:
    data, address, port = GOOD[name]
    expected = ProxyHeader(len(data), address, port)
    for size in range(len(data)):
        assert read_header(data[:size]) is None
    assert read_header(data) == expected
    assert read_header(data + b"EHLO x\r\n") == expected


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_refused_and_never_waited_for(name: str) -> None:
    with pytest.raises(ProxyHeaderError):
        read_header(BAD[name])


async def _dialogue(octets: bytes, source: str = "127.0.0.1", **changes: Any) -> tuple[bytes, list[Any]]:
    async with bare_gateway(proxies=PROXIES, **changes) as (server, got):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(source, 0))
        try:
            talk = Talk(reader, writer)
            talk.send(octets)
            first = await asyncio.wait_for(reader.readline(), 10)
            if first.startswith(b"220"):
                await talk.begin()
                assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
            return first, got
        finally:
            writer.close()


@pytest.mark.parametrize("name", GOOD)
def test_a_proxy_of_ours_is_believed_and_without_an_address_its_own_stands(name: str) -> None:
    data, address, port = GOOD[name]
    first, got = asyncio.run(_dialogue(data))
    assert first.startswith(b"220")
    assert got[0].peer.ip == (address or "127.0.0.1")
    if address:
        assert got[0].peer.port == port


@pytest.mark.parametrize("name", BAD)
def test_a_proxy_that_sends_no_header_is_closed_without_a_word(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "PROXY_SECONDS", 0.5)
    first, got = asyncio.run(_dialogue(BAD[name]))
    assert (first, got) == (b"", [])


@pytest.mark.parametrize("data", [b"", b"PROXY TCP4 192.0.2.1", v2(0x21, 0x11, TCP4)[:-1]])
def test_a_header_that_does_not_come_is_waited_for_a_few_seconds_only(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greeting, "PROXY_SECONDS", 0.3)
    begun = time.monotonic()
    assert asyncio.run(_dialogue(data))[0] == b""
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("name", ["v1 TCP4", "v2 TCP4"])
def test_from_anybody_else_a_header_is_noise_before_the_greeting(name: str) -> None:
    first, got = asyncio.run(_dialogue(GOOD[name][0], source="127.0.0.2", limits=Limits(greeting_seconds=0.3, unlimited=())))
    assert first.startswith(b"554 5.5.1")
    assert got == []


def test_from_anybody_else_a_header_after_the_greeting_changes_no_address() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            assert (await talk.ask(GOOD["v1 TCP4"][0][:-2])).startswith("500")
            await talk.begin()
            assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
            assert got[0].peer.ip == "127.0.0.1"

    asyncio.run(scenario())


def test_smtp_behind_the_header_in_one_packet_is_talking_early() -> None:
    first, got = asyncio.run(_dialogue(GOOD["v2 TCP4"][0] + b"EHLO x\r\n"))
    assert first.startswith(b"554 5.5.1")
    assert got == []


def test_limits_go_by_the_client_behind_the_proxy() -> None:
    async def word(port: int, address: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"PROXY TCP4 {address} 198.51.100.2 4096 25\r\n".encode())
        first = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        return first[:9]

    async def scenario() -> None:
        limits = Limits(address_connections_per_minute=2)
        async with bare_gateway(limits=limits, proxies=PROXIES) as (server, _):
            words = [await word(server.port, "192.0.2.1") for _ in range(3)]
            assert words == [b"220 mx.ex", b"220 mx.ex", b"421 4.7.0"]
            assert await word(server.port, "203.0.113.9") == b"220 mx.ex"

    asyncio.run(scenario())


def test_only_named_networks_are_proxies() -> None:
    settings = GatewaySettings("a", "a", proxies=(ip_network("192.0.2.0/28"), ip_network("2001:db8::/64")))
    assert [settings.is_proxy(a) for a in ("192.0.2.15", "2001:db8::9", "192.0.2.16", "", "x")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert not GatewaySettings("a", "a").is_proxy("127.0.0.1")


@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2"])
def test_haproxy_before_the_gateway(tmp_path: Path, word: str) -> None:
    haproxy = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if haproxy is None:
        pytest.skip("HAProxy is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        front = probe.getsockname()[1]

    async def scenario() -> None:
        async with bare_gateway(proxies=PROXIES) as (server, got):
            config = tmp_path / "haproxy.cfg"
            config.write_text(
                "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
                f"listen smtp\n bind 127.0.0.1:{front}\n server mx 127.0.0.1:{server.port} {word} check inter 200\n"
            )
            process = subprocess.Popen([haproxy, "-db", "-f", str(config)], stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - a moment
            try:
                for _ in range(100):
                    try:
                        socket.create_connection(("127.0.0.1", front)).close()
                        break
                    except OSError:
                        await asyncio.sleep(0.05)
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", front, local_addr=("127.0.0.77", 0)
                )
                talk = Talk(reader, writer)
                assert (await talk.reply()).startswith("220")
                await talk.begin()
                assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
                assert (await talk.ask("QUIT")).startswith("221")
                writer.close()
                assert got[0].peer.ip == "127.0.0.77"
            finally:
                process.terminate()
                process.wait(10)

    asyncio.run(scenario())
