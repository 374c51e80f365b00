"""A delivery status notification (RFC 3464) about relayed mail that failed. Pure.

It says which recipient failed and with which codes. Nothing of the message is returned, no word of the next hop
is repeated, and an address that is not plain is not repeated either: the sender chose it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime

from outbound import header
from outbound.errors import ComposeError
from outbound.model import AutomaticOrder, MailKind, Rendered, Sender, Stamp
from outbound.orders import OrderError, StatusFacts, status_facts

VERSION = 1
"""Of the words below; stored beside each mail, as a template's version is."""
DISPLAY_NAME = "Mail Delivery System"
SUBJECT = "Your message could not be delivered"

_WORDS = """This is an automatic message; nobody reads answers to it.

A message that you sent could not be delivered to its recipient at
{domain}. It will not be tried again.

  Received:  {arrived}
  Status:    {status}

Nothing of your message is returned. The part below is for programs.
"""


def status_notification(order: AutomaticOrder, sender: Sender, hostname: str, stamp: Stamp) -> Rendered:
    """The notification that an order asks for, with the empty return path (RFC 3464 2). Raises ComposeError."""
    try:
        facts = status_facts(order.params)
        recipient = header.mailbox(order.address)
        raw = _raw(order, facts, recipient, sender, hostname, stamp)
    except (OrderError, header.HeaderError) as error:
        raise ComposeError(str(error)) from error
    return Rendered(
        raw=raw,
        message_id=stamp.message_id,
        mail_from="",
        rcpt_to=recipient,
        subject=SUBJECT,
        said="",
        kind=MailKind.DELIVERY_STATUS,
        template_version=VERSION,
        language="en",
        thread_id=None,
        contact_id=None,
        created=stamp.date,
    )


def _raw(  # noqa: PLR0917 -- one call, each argument a different type
    order: AutomaticOrder, facts: StatusFacts, recipient: str, sender: Sender, hostname: str, stamp: Stamp
) -> bytes:
    fields = [
        ("From", header.name_addr(DISPLAY_NAME, header.mailbox(sender.address))),
        ("To", f"<{recipient}>"),
        ("Subject", SUBJECT),
        ("Date", _date(stamp.date)),
        ("Message-ID", stamp.message_id),
    ]
    if order.in_reply_to is not None and header.plain_message_id(order.in_reply_to):
        fields += [("In-Reply-To", f"<{order.in_reply_to}>"), ("References", f"<{order.in_reply_to}>")]
    fields += [
        ("Auto-Submitted", "auto-replied"),
        ("X-Auto-Response-Suppress", header.SUPPRESS),
        ("MIME-Version", "1.0"),
    ]
    boundary = f"=_{hashlib.sha256(stamp.boundary_seed.encode()).hexdigest()[:32]}"
    words = _WORDS.format(domain=facts.domain, arrived=_date(facts.arrived), status=facts.status)
    parts = (
        "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + words.replace("\n", "\r\n"),
        "Content-Type: message/delivery-status\r\n\r\n" + _status(facts, hostname),
    )
    content_type = (
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"\r\n\r\n'
    )
    body = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + f"--{boundary}--\r\n"
    return b"".join(header.field(name, value) for name, value in fields) + (content_type + body).encode(
        "ascii"
    )


def _status(facts: StatusFacts, hostname: str) -> str:
    """The part for programs (RFC 3464 2.2, 2.3)."""
    lines = [
        f"Reporting-MTA: dns; {hostname}",
        f"Arrival-Date: {_date(facts.arrived)}",
        "",
        f"Final-Recipient: rfc822; {facts.recipient}",
        "Action: failed",
        f"Status: {facts.status}",
    ]
    if facts.code:
        lines.append(f"Diagnostic-Code: smtp; {facts.code} {facts.status}")
    lines.append(f"Last-Attempt-Date: {_date(facts.tried)}")
    return "\r\n".join(lines) + "\r\n"


def _date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC).replace(microsecond=0))
