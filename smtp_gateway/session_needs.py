"""What an SMTP session needs from the gateway around it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from smtp_gateway.admission import Admission
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.paths import Path
from smtp_gateway.quota import Quota
from smtp_gateway.replies import SmtpReply
from smtp_gateway.routes import Route

if TYPE_CHECKING:
    from smtp_gateway.commands import Commands


class Gateway(Protocol):
    """The gateway, as its sessions see it."""

    settings: GatewaySettings
    memory: Quota
    """Octets of large messages that are being judged and stored."""
    disk: Quota
    """Octets of large messages that are being received, on disk."""
    spare: Quota
    """And those that may stay in memory as long as there is enough of it."""
    admission: Admission
    """Connections and messages by address and network."""

    def now(self) -> datetime:
        """The clock, UTC."""

    async def resolve(self, path: Path) -> Route:
        """Where a recipient leads; raises SmtpRefusal, also where its next hop does not know it."""

    async def take(self, envelope: Envelope) -> SmtpReply:
        """Judge and store a message; the reply is positive only once it is durable. May raise SmtpRefusal."""

    def enter(self, session: Commands) -> bool:
        """Count a session in; False when there are too many."""

    def leave(self, session: Commands) -> None:
        """Count a session out."""

    def enter_tls(self) -> bool:
        """Count a TLS session in; False when there are too many."""

    @property
    def crowded(self) -> bool:
        """Whether as many messages are being worked on as may be."""
        ...

    def refused(self, stage: str, code: int) -> None:
        """Count a negative reply that no judged message heard; see ``observer.Observer.refused``."""

    def keep(self, work: Awaitable[SmtpReply]) -> asyncio.Task[SmtpReply]:
        """Run work that must end even if its session does not live to see it."""
