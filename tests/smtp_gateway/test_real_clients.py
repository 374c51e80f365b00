"""Clients that others wrote, against a real gateway: OpenSSL's, swaks, and what they see of TLS and the PROXY protocol."""

from __future__ import annotations

import asyncio
import shutil
from ipaddress import ip_network
from pathlib import Path

import pytest

from smtp_gateway.gateway_settings import tls_context
from tests.smtp_gateway.world import bare_gateway

SECONDS = 30
MAIL = "Subject: x\n\nhello\n.dot\n"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


async def run(*command: str, given: bytes = b"") -> tuple[int, str]:
    """Run a program to its end; its exit code and all it printed."""
    child = await asyncio.create_subprocess_exec(*command, stdin=-1, stdout=-1, stderr=asyncio.subprocess.STDOUT)
    said, _ = await asyncio.wait_for(child.communicate(given), SECONDS)
    return child.returncode or 0, said.decode("utf-8", "replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_says_starttls_and_sends_a_message(version: str, certificate: tuple[str, str]) -> None:
    async def scenario() -> None:
        async with bare_gateway(tls=tls_context(*certificate)) as (server, got):
            child = await asyncio.create_subprocess_exec(
                *(program("openssl"), "s_client", "-starttls", "smtp", "-crlf", "-quiet", version),
                *("-CAfile", certificate[0], "-verify_return_error"),
                *("-connect", f"127.0.0.1:{server.port}", "-servername", "mx.experts.test"),
                stdin=-1,
                stdout=-1,
                stderr=-3,
            )
            assert child.stdin is not None
            assert child.stdout is not None
            for line, reply in (
                (b"EHLO me.test\n", b"250 ENHANCEDSTATUSCODES"),
                (b"MAIL FROM:<a@b.test>\n", b"250 2.1.0"),
                (b"RCPT TO:<query@experts.test>\n", b"250 2.1.5"),
                (b"DATA\n", b"354"),
                (b"Subject: x\n\nhello\n.\n", b"250 2.0.0 OK"),
                (b"QUIT\n", b"221"),
            ):
                child.stdin.write(line)
                heard = b""
                while reply not in heard:
                    heard = await asyncio.wait_for(child.stdout.readline(), SECONDS)
                    assert heard, f"{line!r}: no {reply!r}"
            assert await asyncio.wait_for(child.wait(), SECONDS) == 0
            (envelope,) = got
            assert envelope.raw == b"Subject: x\r\n\r\nhello\r\n"
            assert envelope.peer.tls is not None
            assert envelope.peer.tls.version == {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}[version]

    asyncio.run(scenario())


def test_openssl_gets_no_old_version(certificate: tuple[str, str]) -> None:
    async def scenario() -> None:
        async with bare_gateway(tls=tls_context(*certificate)) as (server, _):
            code, said = await run(
                *(program("openssl"), "s_client", "-starttls", "smtp", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
                *("-connect", f"127.0.0.1:{server.port}"),
            )
            assert code != 0
            assert "Cipher is (NONE)" in said

    asyncio.run(scenario())


@pytest.mark.parametrize("way", [[], ["--pipeline"], ["--tls"], ["--tls", "--pipeline"]], ids=" ".join)
def test_swaks_sends_a_message(way: list[str], certificate: tuple[str, str], tmp_path: Path) -> None:
    data = tmp_path / "mail.txt"
    data.write_text(MAIL)

    async def scenario() -> None:
        async with bare_gateway(tls=tls_context(*certificate)) as (server, got):
            code, said = await run(
                *(program("swaks"), "--server", f"127.0.0.1:{server.port}", "--data", f"@{data}", *way),
                *("--from", "a@b.test", "--to", "query@experts.test,service@experts.test", "--helo", "me.test"),
            )
            assert code == 0, said
            (envelope,) = got
            assert envelope.raw == MAIL.replace("\n", "\r\n").encode() + b"\r\n"  # swaks adds a line end
            assert [str(recipient.path) for recipient in envelope.recipients] == [
                "query@experts.test",
                "service@experts.test",
            ]
            assert (envelope.peer.tls is not None) == ("--tls" in way)

    asyncio.run(scenario())


@pytest.mark.parametrize("version", ["1", "2"])
def test_swaks_as_a_proxy_is_believed_where_it_may_be_one(version: str) -> None:
    async def scenario() -> None:
        for proxies, client in (((ip_network("127.0.0.1/32"),), "192.0.2.7"), ((), None)):
            async with bare_gateway(proxies=proxies) as (server, got):
                code, said = await run(
                    *(program("swaks"), "--server", f"127.0.0.1:{server.port}", "--helo", "me.test"),
                    *("--from", "a@b.test", "--to", "query@experts.test", "--proxy-version", version),
                    *("--proxy-family", "TCP4" if version == "1" else "AF_INET"),
                    *("--proxy-source", "192.0.2.7", "--proxy-source-port", "4711"),
                    *("--proxy-dest", "192.0.2.25", "--proxy-dest-port", "25"),
                    *(() if version == "1" else ("--proxy-protocol", "STREAM", "--proxy-command", "PROXY")),
                )
                assert (code == 0) == (client is not None), said
                assert [envelope.peer.ip for envelope in got] == ([client] if client else [])

    asyncio.run(scenario())
