"""The server's part in channels: what tells webhooks and Teams channels, put together from the settings."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from expertmail.faults import ExitCode, FaultError
from expertmail.metrics import Metrics
from expertmail.settings import Settings
from expertmail.world import World
from outbound.subscriber import Answer, SubscriberKind
from outbound.subscriber_calls import Call, WebhookCaller
from outbound.teams_caller import TeamsCaller
from outbound.telling import Teller, Tried
from threads.model import Tlp
from threads.store.engine import Database
from threads.store.writer import Writer


def trust_of(ca_file: Path | None) -> ssl.SSLContext | None:
    """Whose certificates count; None: the system's. Raises FaultError for a file that holds none."""
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise FaultError(
            f"channels.ca_file: {ca_file} holds no certificates that can be read.", ExitCode.CONFIG
        ) from error


def _post() -> Callable[..., Awaitable[Answer]]:
    """What calls, loaded by a thread with the first call: its library has 7 MB and takes long, and most have no channels."""
    from outbound.https_post import post  # noqa: PLC0415 -- see above

    return post


async def call_now(settings: Settings, call: Call) -> Answer:
    """Make one call as the settings allow."""
    channels = settings.channels
    post = await asyncio.to_thread(_post)
    return await post(
        call.address,
        call.body,
        call.fields,
        allowed=tuple(map(ip_network, channels.allowed_networks)),
        trust=trust_of(channels.ca_file),
    )


def teller_of(
    world: Callable[[], World],
    database: Database,
    writer: Writer,
    metrics: Metrics,
    clock: Callable[[], datetime],
) -> Teller:
    """What tells subscribers; ``world`` gives what is in force at each try."""

    async def posted(call: Call) -> Answer:
        return await call_now(world().settings, call)

    key = world().console_key  # the same after each reload
    return Teller(
        database,
        writer,
        callers={
            SubscriberKind.WEBHOOK: WebhookCaller(key),
            SubscriberKind.TEAMS: TeamsCaller(key, lambda: Tlp(world().settings.mail.default_tlp)),
        },
        post=posted,
        clock=clock,
        observe=partial(_counted, metrics),
    )


def _counted(metrics: Metrics, tried: Tried) -> None:
    metrics.told.labels(kind=tried.kind, outcome=tried.outcome).inc()
