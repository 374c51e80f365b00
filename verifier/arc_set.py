"""The ARC sets of a message, read strictly (RFC 8617 4): one field of each kind for each instance, 1 to N."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

from verifier.dkim_reason import DkimError, DkimReason
from verifier.dkim_signature import (
    SHA256_OCTETS,
    Signature,
    read_algorithm,
    read_base64,
    read_field_names,
    read_methods,
    read_names,
    read_times,
)
from verifier.message import Field, Message
from verifier.tag_list import TagListError, read_tags

MAX_SETS: Final = 50  # RFC 8617 4.2.1: no higher instance is allowed

RESULTS: Final = b"arc-authentication-results"
MESSAGE_SIGNATURE: Final = b"arc-message-signature"
SEAL: Final = b"arc-seal"

_INSTANCE: Final = re.compile(rb"[1-9][0-9]?")
_RESULTS: Final = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,3})[ \t\r\n]*;(.*)", re.DOTALL)
_SIGNATURE_TAGS: Final = (b"a", b"b", b"bh", b"d", b"h", b"i", b"s")
_SEAL_TAGS: Final = (b"a", b"b", b"cv", b"d", b"i", b"s")
# RFC 6376 3.5 has "simple" for no c=; RFC 8617 has no words of its own, and its authors' suite takes "relaxed".
_DEFAULT_METHODS: Final = b"relaxed/relaxed"
_STATUS: Final = {b"none": "none", b"pass": "pass", b"fail": "fail"}

T = TypeVar("T")


class ArcReason(StrEnum):
    """Why a chain does not pass, or a hop of it; stable."""

    TOO_MANY_SETS = "too-many-sets"  # 4.2.1
    STRUCTURE = "set-structure"  # 4.2.2, 5.2 (1): a set that is not whole, or a gap
    RESULTS_SYNTAX = "results-syntax"  # 4.1.1
    MESSAGE_SIGNATURE_SYNTAX = "message-signature-syntax"  # 4.1.2
    SEAL_SYNTAX = "seal-syntax"  # 4.1.3
    CHAIN_STATUS = "chain-status"  # 5.2 (3.C): cv= is not "none" first and "pass" ever after
    FAILED_BEFORE = "failed-before"  # 5.2 (2): the newest sealer found the chain broken already
    MESSAGE_CHANGED = "message-changed"  # 5.2 (4): the newest message signature does not hold
    SEAL_FAILS = "seal-fails"  # 5.2 (5)
    KEY = "key"  # no usable key
    KEY_UNAVAILABLE = "key-unavailable"  # a temporary error
    MALFORMED_HEADER = "malformed-header"  # RFC 5322 2.2: nobody can say which fields there are


class ArcError(Exception):
    """The sets cannot be read: ``reason`` is stable, ``detail`` is one plain sentence."""

    def __init__(self, reason: ArcReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Seal(NamedTuple):
    """An ARC-Seal (RFC 8617 4.1.3); ``status`` is its cv=."""

    field: Field
    key_type: str
    domain: str
    selector: str
    signature: bytes
    status: str

    @property
    def key_name(self) -> str:
        """Where the key is published, without the final dot."""
        return f"{self.selector}._domainkey.{self.domain}"


class ArcSet(NamedTuple):
    """One set. ``payload`` is what follows "i=N;" in its Authentication-Results."""

    instance: int
    results: Field
    payload: bytes
    signature: Signature
    seal: Seal


def read_sets(message: Message) -> tuple[ArcSet, ...]:
    """The sets in the order of their instances; () where there is no ARC field. Raises ``ArcError``."""
    kinds = [message.by_name.get(name, ()) for name in (RESULTS, MESSAGE_SIGNATURE, SEAL)]
    count = max(map(len, kinds))
    if not count:
        return ()
    if count > MAX_SETS:
        raise ArcError(ArcReason.TOO_MANY_SETS, f"more than {MAX_SETS} sets")
    results = _by_instance(kinds[0], _read_results)
    signatures = _by_instance(kinds[1], _read_message_signature)
    seals = _by_instance(kinds[2], _read_seal)
    wanted = list(range(1, count + 1))
    if not sorted(results) == sorted(signatures) == sorted(seals) == wanted:
        raise ArcError(ArcReason.STRUCTURE, "a set is missing, or one of its fields")
    return tuple(ArcSet(i, *results[i], signatures[i], seals[i]) for i in wanted)


def instance_of(field: Field) -> int:
    """The instance that a field of any of the three kinds names, 0 where it names none."""
    found = _RESULTS.match(field.value)
    if found:
        return int(found[1])
    try:
        value = read_tags(field.value, utf8=True).get(b"i", b"")
    except TagListError:
        return 0
    return int(value) if _INSTANCE.fullmatch(value) else 0


def _by_instance(fields: Sequence[Field], read: Callable[[Field], tuple[int, T]]) -> dict[int, T]:
    found: dict[int, T] = {}
    for field in fields:
        instance, one = read(field)
        if instance in found:
            raise ArcError(ArcReason.STRUCTURE, "two fields of one kind in a set")
        found[instance] = one
    return found


def _read_results(field: Field) -> tuple[int, tuple[Field, bytes]]:
    found = _RESULTS.match(field.value)
    if found is None or not 0 < int(found[1]) <= MAX_SETS:
        raise ArcError(ArcReason.RESULTS_SYNTAX, "the results do not begin with an instance")
    return int(found[1]), (field, found[2])


def _read_message_signature(field: Field) -> tuple[int, Signature]:
    try:
        return _message_signature(field)
    except DkimError as error:
        raise ArcError(ArcReason.MESSAGE_SIGNATURE_SYNTAX, error.detail) from error


def _message_signature(field: Field) -> tuple[int, Signature]:
    """RFC 8617 4.1.2: as a DKIM-Signature, but without v=, with i= for the instance, and From need not be signed."""
    tags = _tags(field, _SIGNATURE_TAGS, empty=(b"h",))
    instance = _instance(tags[b"i"])
    domain, selector = read_names(tags[b"d"], tags[b"s"])
    headers = read_field_names(tags[b"h"])
    if SEAL in headers:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "h= names ARC-Seal")
    header_method, body_method = read_methods(tags.get(b"c", _DEFAULT_METHODS))
    time, expires = read_times(tags)
    algorithm, key_type = read_algorithm(tags[b"a"])
    body_hash = read_base64(tags[b"bh"], "bh=")
    if len(body_hash) != SHA256_OCTETS:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "bh= is no SHA-256 hash")
    return instance, Signature(
        field,
        algorithm,
        key_type,
        domain,
        selector,
        headers,
        header_method,
        body_method,
        body_hash,
        read_base64(tags[b"b"], "b="),
        domain,
        None,
        time,
        expires,
    )


def _read_seal(field: Field) -> tuple[int, Seal]:
    try:
        return _seal(field)
    except DkimError as error:
        raise ArcError(ArcReason.SEAL_SYNTAX, error.detail) from error


def _seal(field: Field) -> tuple[int, Seal]:
    """RFC 8617 4.1.3: no h=, since what is sealed is given."""
    tags = _tags(field, _SEAL_TAGS)
    instance = _instance(tags[b"i"])
    if b"h" in tags:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "a seal has h=")
    status = _STATUS.get(tags[b"cv"])
    if status is None:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "cv= is not a chain validation status")
    domain, selector = read_names(tags[b"d"], tags[b"s"])
    read_times(tags)
    _, key_type = read_algorithm(tags[b"a"])
    return instance, Seal(field, key_type, domain, selector, read_base64(tags[b"b"], "b="), status)


def _tags(field: Field, needed: tuple[bytes, ...], empty: tuple[bytes, ...] = ()) -> dict[bytes, bytes]:
    try:
        tags = read_tags(field.value, utf8=True)
    except TagListError as error:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, str(error)) from error
    if any(name not in tags or not (tags[name] or name in empty) for name in needed):
        raise DkimError(DkimReason.MISSING_TAG, "a tag is missing")
    return tags


def _instance(value: bytes) -> int:
    if not _INSTANCE.fullmatch(value) or int(value) > MAX_SETS:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "i= is no instance")
    return int(value)
