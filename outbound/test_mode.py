"""Mail of a trial: it goes to one address, and says in its subject and a field for whom it would have been. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from outbound.errors import ComposeError
from outbound.model import Rendered

FIELD = b"X-Test-Mode-Recipient"
MARK = "[TEST]"
_SUBJECT = re.compile(rb"^Subject:[ \t]*", re.MULTILINE)


def redirected(mail: Rendered, to: str) -> Rendered:
    """The mail for ``to`` instead of its recipient, who stands in a field of its own. The envelope's recipient is changed.

    ``To`` keeps the recipient: what is looked at in a trial is the mail as the customer would see it. Details that the contact
    allowed for its own mailbox go to another one under checked TLS only. Raises ComposeError.
    """
    head, end, body = mail.raw.partition(b"\r\n\r\n")
    found = _SUBJECT.search(head)
    if found is None or not end:
        raise ComposeError("A mail without a subject cannot be marked as a test.")
    marked = head[: found.end()] + MARK.encode() + b" " + head[found.end() :]
    told = FIELD + b": " + mail.rcpt_to.encode("ascii", "backslashreplace")
    return replace(
        mail,
        raw=marked + b"\r\n" + told + end + body,
        rcpt_to=to,
        subject=f"{MARK} {mail.subject}",
        disclosure=replace(mail.disclosure, needs_tls=mail.disclosure.needs_tls or mail.disclosure.permitted),
    )
