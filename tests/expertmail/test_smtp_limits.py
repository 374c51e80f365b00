"""Each limit of the SMTP side that an admin can set reaches the gateway, and our own look at the listener passes a proxy's door."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from ipaddress import ip_network
from pathlib import Path

import pytest

from expertmail.console.server import _greeting
from expertmail.faults import FaultError
from expertmail.gateway import gateway_settings
from expertmail.settings import load
from expertmail.world import open_world
from smtp_gateway.gateway_settings import Limits
from tests.smtp_gateway.world import bare_gateway

SET = {
    "max_message_bytes": ("70000", "message_bytes", 70_000),
    "max_command_bytes": ("4096", "command_bytes", 4_096),
    "max_recipients": ("250", "recipients", 250),
    "max_connections": ("7", "connections", 7),
    "max_tls_connections": ("6", "tls_connections", 6),
    "max_address_connections": ("5", "address_connections", 5),
    "max_network_connections": ("0", "network_connections", 0),
    "address_connections_per_minute": ("11", "address_connections_per_minute", 11),
    "network_connections_per_minute": ("12", "network_connections_per_minute", 12),
    "address_messages_per_minute": ("13", "address_messages_per_minute", 13),
    "network_messages_per_minute": ("14", "network_messages_per_minute", 14),
    "unlimited_networks": (
        "192.0.2.9/24,2001:db8::1",
        "unlimited",
        (ip_network("192.0.2.0/24"), ip_network("2001:db8::1/128")),
    ),
    "greeting_seconds": ("2.5", "greeting_seconds", 2.5),
    "idle_seconds": ("60", "idle_seconds", 60.0),
    "data_idle_seconds": ("61", "data_idle_seconds", 61.0),
    "data_seconds": ("600", "data_seconds", 600.0),
    "max_errors": ("3", "errors", 3),
    "max_spool_bytes": ("9000000", "spool_bytes", 9_000_000),
}


def test_each_setting_reaches_the_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_DATA_DIR", str(tmp_path / "var"))
    for name, (text, _, _) in SET.items():
        monkeypatch.setenv(f"EXPERTMAIL_SMTP__{name.upper()}", text)
    monkeypatch.setenv("EXPERTMAIL_SMTP__PROXY_PROTOCOL_FROM", "192.0.2.1, 2001:db8::/32")
    settings = gateway_settings(open_world(load()))
    given = asdict(settings.limits)
    assert {field: given[field] for _, field, _ in SET.values()} == {f: value for _, f, value in SET.values()}
    assert settings.proxies == (ip_network("192.0.2.1/32"), ip_network("2001:db8::/32"))
    assert settings.spool == tmp_path / "var"


def test_the_defaults_of_the_settings_are_those_of_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPERTMAIL_DATA_DIR", str(tmp_path / "var"))
    settings = gateway_settings(open_world(load()))
    assert settings.limits == Limits()
    assert settings.proxies == ()


@pytest.mark.parametrize("wrong", ["192.0.2.0/33", "mx.test", "192.0.2.1-9", "::/200"])
def test_what_is_no_network_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("EXPERTMAIL_SMTP__PROXY_PROTOCOL_FROM", wrong)
    with pytest.raises(FaultError, match="IP address or network"):
        load()


@pytest.mark.parametrize("proxies", [(), (ip_network("127.0.0.0/8"),)])
def test_readiness_sees_the_greeting_where_a_proxy_on_this_machine_would(proxies: tuple) -> None:
    async def scenario() -> None:
        limits = Limits(greeting_seconds=60)  # nobody on this machine waits for that
        async with bare_gateway(limits=limits, proxies=proxies) as (server, _), asyncio.timeout(3):
            assert await _greeting("127.0.0.1", server.port, server.settings.is_proxy) == "ok"

    asyncio.run(scenario())
