"""SMTP replies as values (RFC 5321 4.2, RFC 2034, RFC 3463): every answer the gateway ever gives.

A reply's text is public. What went wrong inside travels in :class:`SmtpRefusal` beside the reply and ends
in the log, never on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """One reply line: three-digit ``code``, enhanced code (RFC 3463) or None, ASCII ``text``.

    ``ends`` where the connection ends with it although its code alone does not say so.
    """

    code: int
    enhanced: str | None
    text: str
    ends: bool = False

    def __str__(self) -> str:
        middle = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {middle}{self.text}"

    def line(self) -> bytes:
        """The reply as it goes on the wire, with CRLF."""
        return f"{self}\r\n".encode("ascii", "replace")

    @property
    def positive(self) -> bool:
        """Whether the command was carried out (2yz)."""
        return self.code // 100 == 2  # noqa: PLR2004 - the first digit of RFC 5321 4.2.1

    @property
    def transient(self) -> bool:
        """Whether the client should try again later (4yz)."""
        return self.code // 100 == 4  # noqa: PLR2004 - the first digit of RFC 5321 4.2.1

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this reply (RFC 5321 3.8)."""
        return self.ends or self.code in (221, 421)


class SmtpRefusal(Exception):  # noqa: N818 - a refusal is an answer, not a program error
    """A command or message is refused: a public ``reply`` and a private ``cause`` for the log only."""

    def __init__(self, reply: SmtpReply, cause: str = "") -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.cause = cause


# -- the course of a session --------------------------------------------------------------------------
HELLO_FIRST = SmtpReply(503, "5.5.1", "Send EHLO or HELO first")
BYE = SmtpReply(221, "2.0.0", "Bye")
DONE = SmtpReply(250, "2.0.0", "OK")
SENDER_OK = SmtpReply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = SmtpReply(250, "2.1.5", "Recipient OK")
START_DATA = SmtpReply(354, None, "End data with <CR><LF>.<CR><LF>")
START_TLS = SmtpReply(220, "2.0.0", "Ready to start TLS")
HELP = SmtpReply(214, "2.0.0", "See RFC 5321")
CANNOT_VERIFY = SmtpReply(252, "2.5.0", "Cannot verify a mailbox; send the mail and see")

# -- commands that are wrong (RFC 5321 4.2.4, 4.3.2) --------------------------------------------------
UNKNOWN_COMMAND = SmtpReply(500, "5.5.1", "Command not recognized")
BAD_COMMAND_LINE = SmtpReply(500, "5.5.2", "Command line has characters that do not belong there")
LINE_TOO_LONG = SmtpReply(500, "5.5.2", "Command line too long")
NOT_IMPLEMENTED = SmtpReply(502, "5.5.1", "Command not implemented")
NO_ARGUMENT = SmtpReply(501, "5.5.4", "This command takes no argument")
HELLO_SYNTAX = SmtpReply(501, "5.5.4", "Syntax: EHLO hostname")
MAIL_SYNTAX = SmtpReply(501, "5.5.2", "Syntax: MAIL FROM:<address> [parameters]")
RCPT_SYNTAX = SmtpReply(501, "5.5.2", "Syntax: RCPT TO:<address> [parameters]")
BAD_SENDER_PATH = SmtpReply(501, "5.1.7", "Bad sender address syntax")
BAD_RECIPIENT_PATH = SmtpReply(501, "5.1.3", "Bad recipient address syntax")
BAD_PARAMETER = SmtpReply(501, "5.5.4", "Bad parameter or parameter value")
UNKNOWN_PARAMETER = SmtpReply(555, "5.5.4", "Parameter not recognized or not implemented")
BDAT_SYNTAX = SmtpReply(501, "5.5.4", "Syntax: BDAT size [LAST]")
CHUNKS_BEGUN = SmtpReply(503, "5.5.1", "Message began with BDAT; go on with BDAT or RSET")
NESTED_MAIL = SmtpReply(503, "5.5.1", "Sender already given; RSET first")
MAIL_FIRST = SmtpReply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST = SmtpReply(503, "5.5.1", "Send RCPT first")
NO_VALID_RECIPIENTS = SmtpReply(554, "5.5.1", "No valid recipients")
TLS_ALREADY = SmtpReply(503, "5.5.1", "TLS is already active")
TLS_UNAVAILABLE = SmtpReply(454, "4.7.0", "TLS not available just now")

# -- recipients ---------------------------------------------------------------------------------------
UNKNOWN_RECIPIENT = SmtpReply(550, "5.1.1", "No such recipient here")
RECIPIENT_REFUSED = SmtpReply(550, "5.7.1", "This recipient takes no mail")
BOUNCES_ONLY = SmtpReply(550, "5.7.1", "This recipient takes returned mail only")
NO_RELAYING = SmtpReply(550, "5.7.1", "Relaying denied")
TOO_MANY_RECIPIENTS = SmtpReply(452, "4.5.3", "Too many recipients")
OTHER_POLICY_CLASS = SmtpReply(452, "4.5.3", "Send this recipient a copy of its own")

# -- messages -----------------------------------------------------------------------------------------
TOO_LARGE = SmtpReply(552, "5.3.4", "Message too large")
ENDLESS_DATA = SmtpReply(552, "5.3.4", "Message far too large, closing connection", ends=True)
BARE_CONTROL = SmtpReply(550, "5.6.0", "Message holds a bare CR, a bare LF or a NUL")
LOOP = SmtpReply(554, "5.4.6", "Too many hops, mail loop")
MALFORMED_AUTHOR = SmtpReply(550, "5.7.1", "The From field is not one valid author (RFC 5322 3.6.2)")
UNAUTHENTICATED = SmtpReply(550, "5.7.1", "The author domain is not authenticated (RFC 9989)")
UNAUTHENTICATED_7489 = SmtpReply(550, "5.7.1", "The author domain is not authenticated (RFC 7489)")
PROGRAM_ATTACHED = SmtpReply(550, "5.7.1", "Programs are not taken as attachments")
ENCRYPTED_ATTACHED = SmtpReply(550, "5.7.1", "Encrypted files are not taken as attachments")
MACROS_ATTACHED = SmtpReply(550, "5.7.1", "Documents with macros are not taken as attachments")
POLICY_DEFERRED = SmtpReply(451, "4.7.1", "Not taken just now, try again later")
EVIDENCE_UNAVAILABLE = SmtpReply(451, "4.4.3", "DNS records of the sender could not be had, try again later")
STORAGE_FULL = SmtpReply(452, "4.3.1", "Insufficient system storage, try again later")

# -- the connection ends (RFC 5321 3.8, 4.5.3.2) ------------------------------------------------------
SHUTTING_DOWN = SmtpReply(421, "4.3.2", "Service shutting down, try again later")
TOO_MANY_CONNECTIONS = SmtpReply(421, "4.3.2", "Too many connections, try again later")
TOO_MANY_FROM_YOU = SmtpReply(421, "4.7.0", "Too many connections from your network, try again later")
TOO_MANY_MESSAGES = SmtpReply(421, "4.7.0", "Too many messages from your network, try again later")
EARLY_TALKER = SmtpReply(554, "5.5.1", "Client talked before the greeting", ends=True)
IDLE = SmtpReply(421, "4.4.2", "Idle too long, closing connection")
TOO_MANY_ERRORS = SmtpReply(421, "4.7.0", "Too many errors, closing connection")
TOO_MANY_COMMANDS = SmtpReply(421, "4.7.0", "Too many commands, closing connection")
ENDLESS_LINE = SmtpReply(421, "4.5.2", "Command line without end, closing connection")
NO_CRLF = SmtpReply(421, "4.5.2", "Command lines end with CRLF, closing connection")


def accepted(message_id: str) -> SmtpReply:
    """The answer after the commit; ``message_id`` finds the message in the log and the store."""
    return SmtpReply(250, "2.0.0", f"OK {message_id}")


def chunk_taken(octets: int) -> SmtpReply:
    """The answer to a chunk that is not the last one (RFC 3030 2): it is held, not stored."""
    return SmtpReply(250, "2.0.0", f"{octets} octets received")


def internal_fault(reference: str) -> SmtpReply:
    """Any fault of ours: temporary, says nothing, and ``reference`` finds the cause in the log."""
    return SmtpReply(451, "4.3.0", f"Local problem, try again later (reference {reference})")


def closing_fault(reference: str) -> SmtpReply:
    """A fault in the middle of data: what follows on the wire is message text and must not be read as commands."""
    return SmtpReply(421, "4.3.0", f"Local problem, closing connection (reference {reference})")
