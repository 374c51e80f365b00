"""From frozen mail to what may be queued: signed, and judged by our own verifier. Queueing is the store's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from outbound.model import Rendered, SelfCheck, Sender, Signed
from outbound.sign import SecondKey, SigningKey, sign
from outbound.test_mode import redirected

SelfChecker = Callable[[bytes], Awaitable[SelfCheck]]
"""Judges signed bytes of ours; ``outbound.selfcheck.self_check`` with its other arguments given."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, and with what. ``key`` is the RSA one, which everybody can verify; ``second`` is Ed25519.

    ``test_to``: in test mode everything goes there instead (``outbound.test_mode``); empty: to its recipients.
    """

    sender: Sender
    key: SigningKey
    second: SecondKey | None = None
    test_to: str = ""

    def sign(self, mail: Rendered, at: datetime) -> Signed:
        """Sign a mail as of ``at``, by both keys where there are two."""
        mail = redirected(mail, self.test_to) if self.test_to else mail
        return sign(mail, self.sender, self.key, at, self.second)


@dataclass(frozen=True, slots=True)
class Ready:
    """A signed mail and what our own verifier says of it, to be handed to ``store.queue_outgoing``."""

    signed: Signed
    checked: SelfCheck


async def prepare(mail: Rendered, signer: Signer, check: SelfChecker, now: datetime) -> Ready:
    """Sign and judge one mail. Raises SigningError; a verdict that is not genuine is a value."""
    signed = signer.sign(mail, now)
    return Ready(signed, await check(signed.raw))
