"""Our Received field (RFC 5321 4.4) and the loop count (6.3).

The stored message stays byte for byte as it came; the field is computed from what is on record when somebody
shows or relays the message. Nothing the client chose gets into it unchecked.
"""

from __future__ import annotations

import ipaddress
import re
from email.utils import format_datetime
from functools import lru_cache

from smtp_gateway.envelope import Envelope
from verifier.message import Message

_HELO_SAFE = re.compile(r"[A-Za-z0-9.\-_:\[\]]{1,255}")


def received_field(envelope: Envelope, hostname: str) -> bytes:
    """The whole field with its CRLF, folded (RFC 5321 4.4; ``with`` words of RFC 3848 and RFC 6531 4.3)."""
    peer = envelope.peer
    helo = peer.helo if _HELO_SAFE.fullmatch(peer.helo) else "unknown"
    lines = [f"Received: from {helo} ({_address_literal(peer.ip)})"]
    protection = f" ({peer.tls.version}, {peer.tls.cipher})" if peer.tls is not None else ""
    lines.append(f"by {hostname} with {_protocol(envelope)}{protection} id {envelope.id}")
    if len(envelope.recipients) == 1 and str(envelope.recipients[0].path).isascii():
        # With several recipients the field would tell each of the others (RFC 5321 7.2).
        lines.append(f"for <{envelope.recipients[0].path}>")
    lines[-1] += ";"
    lines.append(format_datetime(envelope.received_at))
    return "\r\n\t".join(lines).encode("ascii", "replace") + b"\r\n"


def looping(message: Message, cap: int) -> bool:
    """Whether the message has been through more than ``cap`` hops."""
    return sum(1 for field in message.fields if field.lower == b"received") > cap


@lru_cache(maxsize=1_024)  # a client sends several messages
def _address_literal(ip: str) -> str:
    try:
        parsed = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return "[unknown]"
    return f"[IPv6:{parsed}]" if parsed.version == 6 else f"[{parsed}]"  # noqa: PLR2004 - the protocol's number


def _protocol(envelope: Envelope) -> str:
    if not envelope.peer.extended:
        return "SMTP"
    word = "UTF8SMTP" if envelope.smtputf8 else "ESMTP"
    return word + ("S" if envelope.peer.tls is not None else "")
