"""Who may hear that relayed mail has failed (RFC 5321 6.1, RFC 3834 2): a proven return path, and no robot. Pure."""

from __future__ import annotations

from smtp_gateway.plan import forbids_answer
from threads.model import MessageKind
from verifier.message import Message


def status_path(message: Message, kind: MessageKind, mail_from: str, *, spf_passed: bool) -> str | None:
    """The return path, where a notification may be sent to it; None where nobody may be told.

    Never the empty path, never one that SPF did not prove, and not for mail of lists and robots or for bounces.
    """
    if not mail_from or not spf_passed or kind is not MessageKind.HUMAN:
        return None
    return None if any(map(forbids_answer, message.fields)) else mail_from
