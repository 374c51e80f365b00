"""The queue's way out for relayed mail; all other mail goes the way of the settings (``outbound.delivery``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from outbound.delivery import Handover, Transport
from outbound.model import Delivery, Failure, Reply
from smtp_gateway.next_hop import HopAnswer, Mail, NextHop, Step, Trouble, our_reply, read_next_hop
from smtp_gateway.next_hop_session import MailError, Times, hand_over

TIMES: Final = Times(connect=60.0, command=300.0, end=600.0, total=780.0)
"""Nobody waits for the reply, so each step has what RFC 5321 4.5.3.2 asks for; less than ``ATTEMPT_SECONDS`` in all."""

_FAILURES: Final = {
    Trouble.UNREACHABLE: Failure.CONNECTION,
    Trouble.DROPPED: Failure.CONNECTION,
    Trouble.TIMEOUT: Failure.TIMEOUT,
    Trouble.NOT_SMTP: Failure.PROTOCOL,
    Trouble.TLS: Failure.PROTOCOL,
}

HopFor = Callable[[str], NextHop | None]
"""Where mail for a recipient is relayed to now, or None where no route says so any more."""


@dataclass(frozen=True, slots=True)
class RelayTransport:
    """``hop_for`` is asked at each try, so that mail follows its route; where there is none it goes where it was queued for."""

    otherwise: Transport
    hostname: str
    hop_for: HopFor
    times: Times = TIMES

    async def deliver(self, delivery: Delivery) -> Handover:
        """Hand over to the next hop, or to the other transport what was not queued for one."""
        if delivery.next_hop is None:
            return await self.otherwise.deliver(delivery)
        hop = self.hop_for(delivery.rcpt_to)
        if hop is None:
            try:
                hop = read_next_hop(delivery.next_hop)
            except ValueError:
                return Handover("", Reply(0, "no next hop is known"), Failure.LOCAL)
        utf8 = not (delivery.mail_from + delivery.rcpt_to).isascii()
        mail = Mail(delivery.mail_from, (delivery.rcpt_to,), delivery.raw, smtputf8=utf8)
        try:
            done = await hand_over(mail, hop, self.hostname, self.times)
        except MailError as error:
            return Handover(str(hop), Reply(0, str(error)), Failure.REFUSED)
        answer = done.answer
        # The message is over there and no answer said what became of it: the next try may make a second copy.
        in_doubt = answer.step is Step.END and answer.trouble is not None
        return Handover(
            str(hop),
            _reply(answer),
            _failure(answer),
            tls=done.tls,
            begun=answer.accepted,
            in_doubt=in_doubt,
        )

    async def close(self) -> None:
        """End what the other transport keeps open; a dialogue with a next hop ends with its mail."""
        await self.otherwise.close()


def _reply(answer: HopAnswer) -> Reply:
    """What an admin is shown: the next hop's own words, or what kept us from hearing any."""
    if answer.trouble is not None:
        return Reply(0, f"{answer.trouble.value} at {answer.step.value}")
    return Reply(answer.code, f"{answer.enhanced or ''} {answer.text}".strip())


def _failure(answer: HopAnswer) -> Failure | None:
    if answer.accepted:
        return None
    if not our_reply(answer).transient:
        return Failure.REFUSED
    if answer.trouble is not None:
        return _FAILURES[answer.trouble]
    return Failure.REFUSED_FOR_NOW
