"""The next hop as values: where mail is relayed to, what it said, and what our client hears then. Pure.

What the next hop says decides our answer, and its words never reach our client: a code that a client acts on
and a text of ours (RFC 5321 4.2, RFC 3463). What is wrong between us and the next hop is never the message's
fault: it is 451, whatever the digit that the next hop used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from smtp_gateway.replies import SmtpReply

TEXT_MAX = 300
"""Characters of the next hop's words in our log: they explain, they are not kept."""

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\s|$)", re.ASCII)
_KNOWN_TEMPORARY = frozenset({450, 451, 452})
_KNOWN_PERMANENT = frozenset({550, 552, 553, 554})
_BETWEEN_US = frozenset({500, 502, 503, 504, 530, 534, 535, 538, 555})
"""Refusals of the dialogue itself, of missing TLS or of a missing login: settings of ours or of the next hop are
wrong. Passed on as they are they would bounce mail that is good."""
_PATH_SYNTAX = 501
_PERMANENT, _TEMPORARY, _DONE = 5, 4, 2


class HopTls(StrEnum):
    """How the connection to the next hop is encrypted."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # STARTTLS where offered, certificate not checked (RFC 7435)
    REQUIRED = "required"  # STARTTLS or nothing, certificate checked (RFC 3207)


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where mail of a route goes: ``host`` is a name or an address, and the name that the certificate has to bear."""

    host: str
    port: int
    tls: HopTls = HopTls.OPPORTUNISTIC

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def written(self) -> str:
        """As it is kept beside queued mail; ``read_next_hop`` reads it."""
        return f"{self.host} {self.port} {self.tls.value}"


def read_next_hop(text: str) -> NextHop:
    """A next hop as it was written down. Raises ValueError for anything else."""
    host, port, tls = text.split(" ")
    return NextHop(host, int(port), HopTls(tls))


class Step(StrEnum):
    """How far a dialogue with the next hop had come."""

    CONNECT = "connect"
    GREETING = "greeting"
    HELLO = "hello"
    STARTTLS = "starttls"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END = "end"  # the message is over there; only its reply decides


class Trouble(StrEnum):
    """Why there is no reply that decides."""

    UNREACHABLE = "unreachable"
    DROPPED = "dropped"
    TIMEOUT = "timeout"
    NOT_SMTP = "not-smtp"  # replies that are none, or one more than was asked for
    TLS = "tls"  # required, and not to be had
    NO_8BITMIME = "no-8bitmime"
    NO_SMTPUTF8_PATH = "no-smtputf8-path"
    NO_SMTPUTF8_HEADER = "no-smtputf8-header"
    TOO_LARGE = "too-large"  # for the SIZE that it offers


@dataclass(frozen=True, slots=True)
class HopAnswer:
    """The reply that decided, or the ``trouble`` that kept us from one; ``code`` is 0 then. ``text`` is for the log."""

    step: Step
    code: int = 0
    enhanced: str | None = None
    text: str = ""
    trouble: Trouble | None = None

    @property
    def accepted(self) -> bool:
        """Whether the step was carried out (2yz)."""
        return self.trouble is None and self.code // 100 == _DONE

    @property
    def permanent(self) -> bool:
        """Whether it is the mail that is refused, for good: what our client hears is 5yz."""
        return not self.accepted and not our_reply(self).transient

    @property
    def unsure(self) -> bool:
        """Whether the next hop may have taken the message although we have not heard so (RFC 5321 6.1)."""
        return self.step is Step.END and self.trouble in (Trouble.DROPPED, Trouble.TIMEOUT)

    def __str__(self) -> str:
        said = self.trouble.value if self.trouble is not None else str(self.code)
        words = " ".join(part for part in (said, self.enhanced or "", self.text) if part)
        return f"{self.step.value}: {words}"


@dataclass(frozen=True, slots=True)
class Mail:
    """What goes to the next hop: the envelope's paths as text ("" is the empty reverse path) and the final bytes."""

    mail_from: str
    recipients: tuple[str, ...]
    raw: bytes
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Handover:
    """What came of one transaction: its last ``answer``, and the recipients that were refused before the message went."""

    answer: HopAnswer
    refused: tuple[tuple[str, HopAnswer], ...] = ()
    tls: bool = False


def answered(step: Step, code: int, text: str) -> HopAnswer:
    """A reply as read: the enhanced code is taken only where its class is that of ``code`` (RFC 2034 4)."""
    found = _ENHANCED.match(text)
    enhanced = found.group().strip() if found and found[1] == str(code)[:1] else None
    words = text[len(enhanced) :] if enhanced is not None else text
    printable = "".join(c if c.isascii() and c.isprintable() else " " for c in words[: 4 * TEXT_MAX])
    return HopAnswer(step, code, enhanced, " ".join(printable.split())[:TEXT_MAX])


_TROUBLES = {
    Trouble.UNREACHABLE: SmtpReply(451, "4.4.1", "The next server cannot be reached, try again later"),
    Trouble.DROPPED: SmtpReply(451, "4.4.2", "The connection to the next server was lost, try again later"),
    Trouble.TIMEOUT: SmtpReply(451, "4.4.2", "The next server gave no answer in time, try again later"),
    Trouble.NOT_SMTP: SmtpReply(451, "4.5.0", "The next server cannot be understood, try again later"),
    Trouble.TLS: SmtpReply(451, "4.7.5", "The way to the next server cannot be secured, try again later"),
    # RFC 6152 3: never sent to a server that does not offer it. The conversion to 7 bits, the other choice there,
    # would break the sender's signatures, and ours could not say what they said.
    Trouble.NO_8BITMIME: SmtpReply(554, "5.6.3", "The next server takes no 8-bit messages (RFC 6152)"),
    Trouble.NO_SMTPUTF8_PATH: SmtpReply(
        550, "5.6.7", "The next server takes no internationalized addresses (RFC 6531)"
    ),
    Trouble.NO_SMTPUTF8_HEADER: SmtpReply(
        554, "5.6.9", "The next server takes no internationalized headers (RFC 6531)"
    ),
    Trouble.TOO_LARGE: SmtpReply(552, "5.3.4", "Message too large for the next server"),
}
_MISCONFIGURED = SmtpReply(451, "4.3.5", "The next server and this one do not agree, try again later")


def our_reply(answer: HopAnswer) -> SmtpReply:
    """What our client hears when ``answer`` refuses, puts off or is missing. Never positive."""
    if answer.trouble is not None:
        return _TROUBLES[answer.trouble]
    if answer.code // 100 == _TEMPORARY:
        code = answer.code if answer.code in _KNOWN_TEMPORARY else 451  # never 421: it would end our session
        return SmtpReply(code, answer.enhanced or "4.0.0", "The next server put this off, try again later")
    if answer.code // 100 != _PERMANENT:
        return _TROUBLES[Trouble.NOT_SMTP]
    about_a_path = answer.code == _PATH_SYNTAX and answer.step in (Step.MAIL, Step.RCPT)
    about_the_mail = answer.step in (Step.MAIL, Step.RCPT, Step.DATA, Step.END)
    if not about_the_mail or answer.code in _BETWEEN_US or (answer.code == _PATH_SYNTAX and not about_a_path):
        return _MISCONFIGURED
    if answer.code in _KNOWN_PERMANENT:
        code = answer.code
    else:
        code = 550 if answer.step in (Step.MAIL, Step.RCPT) else 554
    return SmtpReply(code, answer.enhanced or "5.0.0", "Refused by the next server")
