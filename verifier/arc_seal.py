"""Sealing: the ARC set that a relay puts on top of a message (RFC 8617 5.1). The private-key operation is given."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from verifier.arc_set import (
    MAX_SETS,
    MESSAGE_SIGNATURE,
    RESULTS,
    SEAL,
    ArcError,
    ArcSet,
    instance_of,
    read_sets,
)
from verifier.authres import AuthenticationResults, AuthresError, read_field
from verifier.canonical import BodyHashes, Canonicalization
from verifier.message import Field, Message
from verifier.signed_form import choose, relaxed_field

# RFC 8617 4.1.2, RFC 6376 5.4.1: what people see, and the signatures that a later hop may want to look at.
SEALED_FIELDS: Final = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"dkim-signature",
)
_NEVER: Final = frozenset({SEAL, b"authentication-results"})  # RFC 8617 4.1.2


@dataclass(frozen=True, slots=True)
class Sealer:
    """Who seals: ``sign`` takes the SHA-256 of what is signed and gives the signature of ``algorithm``."""

    domain: str
    selector: str
    algorithm: str
    sign: Callable[[bytes], bytes] = field(repr=False)


def seal(
    message: Message,
    authserv_id: str,
    sealer: Sealer,
    at: datetime,
    fields: tuple[bytes, ...] = SEALED_FIELDS,
) -> bytes:
    """The three fields to put on top of ``message``, or b"" where no set may be added.

    The results are those of the message's Authentication-Results fields with our ``authserv_id``, ``arc=`` among
    them: what our own check of the chain found. None is added without them, to a chain that was called broken
    already (5.1.2), and beyond the last instance (5.1 (2)). Raises ValueError for a list of fields that may not be.
    """
    if b"from" not in fields or not _NEVER.isdisjoint(fields):
        raise ValueError("From has to be sealed; ARC-Seal and Authentication-Results may not be")
    own = tuple(_own_results(message, authserv_id))
    if not own:
        return b""
    before = [one for name in (RESULTS, MESSAGE_SIGNATURE, SEAL) for one in message.named(name)]
    instance = max(map(instance_of, before), default=0) + 1
    words = [result.result for read, _ in own for result in read.results if result.method == "arc"]
    if (
        instance > MAX_SETS
        or len(words) > 1
        or (words == ["none"] if before else words not in ([], ["none"]))
    ):
        return b""
    status = words[0] if words else "none"
    sets: tuple[ArcSet, ...] = ()
    if before:
        if status not in ("pass", "fail"):
            return b""
        try:
            sets = read_sets(message)
        except ArcError:
            status = "fail"
        if sets and sets[-1].seal.status == "fail":
            return b""
    payload = b";\r\n ".join([authserv_id.encode(), *(text for _, text in own)])
    results = _field(b"ARC-Authentication-Results", b"i=%d; %s" % (instance, payload))
    signature = _message_signature(message, sealer, at, instance, fields)
    # 5.1.2: of a chain that is broken only the new set can be vouched for.
    covered = [] if status == "fail" else [part for one in sets for part in _in_order(one)]
    sealed = b"".join(map(relaxed_field, (*covered, results, signature)))
    tags = {
        b"a": sealer.algorithm.encode(),
        b"cv": status.encode(),
        b"d": sealer.domain.encode(),
        b"i": b"%d" % instance,
        b"s": sealer.selector.encode(),
        b"t": b"%d" % int(at.timestamp()),
    }
    top = _signed(b"ARC-Seal", tags, sealed, sealer)
    return top.raw + signature.raw + results.raw


def _own_results(message: Message, authserv_id: str) -> Iterable[tuple[AuthenticationResults, bytes]]:
    """Our own Authentication-Results, topmost first: as read, and what follows the authserv-id as it stands."""
    for one in message.named(b"authentication-results"):
        try:
            read = read_field(one.value)
        except AuthresError:
            continue
        if read.authserv_id.rstrip(".").lower() == authserv_id.rstrip(".").lower() and read.results:
            yield read, one.value.partition(b";")[2].strip(b" \t\r\n")


def _in_order(one: ArcSet) -> tuple[Field, Field, Field]:
    return one.results, one.signature.field, one.seal.field


def _message_signature(
    message: Message, sealer: Sealer, at: datetime, instance: int, names: tuple[bytes, ...]
) -> Field:
    body = BodyHashes(message).get(Canonicalization.RELAXED)
    tags = {
        b"a": sealer.algorithm.encode(),
        b"bh": base64.b64encode(body.digest),
        b"c": b"relaxed/relaxed",
        b"d": sealer.domain.encode(),
        b"h": b":".join(names),
        b"i": b"%d" % instance,
        b"s": sealer.selector.encode(),
        b"t": b"%d" % int(at.timestamp()),
    }
    chosen = choose(names, message.by_name).fields
    return _signed(b"ARC-Message-Signature", tags, b"".join(map(relaxed_field, chosen)), sealer)


def _signed(name: bytes, tags: dict[bytes, bytes], covered: bytes, sealer: Sealer) -> Field:
    """A field with its signature over ``covered`` and itself. Folds stand between tags only, where they mean nothing."""
    unsigned = _field(name, _tag_list({**tags, b"b": b""}))
    form = covered + relaxed_field(unsigned).removesuffix(b"\r\n")
    value = base64.b64encode(sealer.sign(sha256(form).digest()))
    return _field(name, _tag_list({**tags, b"b": value}))


def _tag_list(tags: dict[bytes, bytes]) -> bytes:
    return b";\r\n ".join(name + b"=" + value for name, value in sorted(tags.items()))


def _field(name: bytes, value: bytes) -> Field:
    return Field(name, name.lower(), b" " + value, name + b": " + value)
