"""DKIM (RFC 6376, RFC 8301, RFC 8463): every signature of a message gets a result and a reason.

``result`` is the protocol's. ``acceptable`` is ours and stricter: a pass that leaves what people see open to
change proves nothing to them. No result outlives its message.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

from verifier.canonical import BodyHashes, has_bare_line_ends, has_odd_blanks
from verifier.dkim_key import Key, usable_keys
from verifier.dkim_reason import RESULT_OF, DkimError, DkimReason, Weakness
from verifier.dkim_signature import Origin, Signature, origin_of, read_signature
from verifier.evidence import Answer, Check, Question, ask
from verifier.message import Defect, Field, Message
from verifier.report import AuthResult, DkimResult
from verifier.signed_form import Choice, choose, signed_form

MAX_SIGNATURES: Final = 8  # real mail has up to four; each costs a DNS question and a verification
CLOCK_TOLERANCE: Final = 86_400  # seconds t= may lie ahead: senders' clocks set to the wrong zone are common

# With these, two readers may not agree on what the fields are, so there is nothing that was signed.
UNREADABLE: Final = frozenset(
    {
        Defect.NO_HEADER,
        Defect.LEADING_WSP,
        Defect.NOT_A_FIELD,
        Defect.TOO_MANY_FIELDS,
        Defect.HEADER_TOO_LARGE,
    }
)
# RFC 5322 3.6 allows each of them once, and people are shown the first or the last.
ONCE: Final = frozenset(
    {
        b"from",
        b"subject",
        b"to",
        b"cc",
        b"date",
        b"reply-to",
        b"message-id",
        b"content-type",
        b"content-transfer-encoding",
        b"content-disposition",
        b"mime-version",
    }
)
# What decides what a person reads and whom he answers. To and Cc are not among them: Microsoft 365 signs
# neither, and whom a message was addressed to does not change who wrote it.
_SEEN: Final = frozenset(
    {
        b"subject",
        b"date",
        b"reply-to",
        b"content-type",
        b"content-transfer-encoding",
        b"content-disposition",
        b"mime-version",
    }
)
# Read once: a look at an Enum class takes as long as a call.
_PASS: Final = AuthResult.PASS


def check_dkim(
    message: Message, at: datetime, bodies: BodyHashes | None = None
) -> Check[tuple[DkimResult, ...]]:
    """Judge the DKIM-Signature fields, topmost first, at the time ``at``; ``aligned`` is left False."""
    evidence = yield frozenset()
    fields = message.named(b"dkim-signature")
    if not fields:
        return ()
    work = _Work(message, at.timestamp(), bodies or BodyHashes(message))
    read: list[Signature | DkimError] = []
    questions: dict[int, Question] = {}
    for index, field in enumerate(fields[:MAX_SIGNATURES]):
        found = work.read(field)
        read.append(found)
        if isinstance(found, Signature):
            questions[index] = Question(found.key_name + ".", "TXT")
    evidence = yield from ask(evidence, questions.values())
    results: list[DkimResult] = []
    for index, found in enumerate(read):
        if isinstance(found, DkimError):
            results.append(_refused(index, found, origin_of(fields[index])))
        else:
            results.append(work.judge(index, found, evidence.get(questions[index])))
    for index in range(MAX_SIGNATURES, len(fields)):
        error = DkimError(DkimReason.TOO_MANY_SIGNATURES, f"only {MAX_SIGNATURES} signatures are looked at")
        results.append(_refused(index, error, Origin()))
    return tuple(results)


def _refused(index: int, error: DkimError, origin: Origin) -> DkimResult:
    return DkimResult(
        index,
        RESULT_OF[error.reason],
        error.reason,
        origin.domain,
        origin.selector,
        origin.algorithm,
        detail=error.detail,
    )


class _Work:
    """What the signatures of one message share, so that nothing is computed twice."""

    def __init__(self, message: Message, now: float, bodies: BodyHashes) -> None:
        self._message = message
        self._now = now
        self._bodies = bodies
        self._odd_blanks = has_odd_blanks(message)
        self._fields = message.by_name
        self._seen_weak: tuple[str, ...] | None = None

    def read(self, field: Field) -> Signature | DkimError:
        """The signature, or why it cannot pass whatever the key is (RFC 6376 6.1.1)."""
        defects = self._message.defects
        if defects and not UNREADABLE.isdisjoint(defects):
            return DkimError(DkimReason.MALFORMED_HEADER, "a line of the header is no field")
        try:
            signature = read_signature(field)
        except DkimError as error:
            return error
        if signature.expires is not None and signature.expires < self._now:
            return DkimError(DkimReason.EXPIRED, "the signature has expired")
        if signature.time is not None and signature.time > self._now + CLOCK_TOLERANCE:
            return DkimError(DkimReason.TIME_IN_FUTURE, "the signature was made in the future")
        # RFC 6376 8.15: of several From fields the unsigned one may be the one that is shown.
        if len(self._fields.get(b"from", ())) > signature.headers.count(b"from"):
            return DkimError(DkimReason.EXTRA_FROM, "a From field is not covered by the signature")
        return signature

    def judge(self, index: int, signature: Signature, answer: Answer | None) -> DkimResult:
        """Look at the key, the body and the signature value (RFC 6376 6.1.2, 6.1.3)."""
        choice = choose(signature.headers, self._fields)
        error: DkimError | None = None
        testing = False
        weaknesses: tuple[str, ...] = ()
        try:
            keys = usable_keys(
                answer, signature.key_type, same_domain=signature.identity_domain == signature.domain
            )
            testing = keys[0].testing
            self._check_body(signature)
            testing = self._check_value(signature, keys, choice.fields).testing
        except DkimError as refusal:
            error = refusal
        else:
            if signature.length is None:
                weaknesses = self._weaknesses(choice, testing=testing)
            else:  # RFC 6376 8.2: what follows is nobody's word, now or after the next relay
                error = DkimError(DkimReason.BODY_LENGTH_LIMIT, "l= lets anybody append text to the body")
        return DkimResult(
            index,
            _PASS if error is None else RESULT_OF[error.reason],
            None if error is None else error.reason,
            signature.domain,
            signature.selector,
            signature.algorithm,
            tuple(b":".join(choice.names).decode().split(":")),
            _texts(choice.oversigned) if choice.oversigned else (),
            _texts(choice.unsigned) if choice.unsigned else (),
            acceptable=error is None and not weaknesses,
            testing=testing,
            weaknesses=weaknesses,
            detail="" if error is None else error.detail,
            value=signature.signature,
        )

    def _check_body(self, signature: Signature) -> None:
        """RFC 6376 6.1.3 (1) to (3)."""
        body = self._bodies.get(signature.body_method, signature.length)
        if signature.length is not None and signature.length > body.length:
            raise DkimError(DkimReason.LENGTH_TOO_LARGE, "l= is more than the body has")
        if body.digest != signature.body_hash:
            raise DkimError(DkimReason.BODY_CHANGED, "the body is not the one that was signed")

    def _check_value(self, signature: Signature, keys: list[Key], fields: list[Field]) -> Key:
        """RFC 6376 6.1.3 (4), 3.7; of several keys the first that verifies counts."""
        digest = sha256(signed_form(signature, fields, odd_blanks=self._odd_blanks)).digest()
        for key in keys:
            if key.verifies(signature.signature, digest):
                return key
        raise DkimError(
            DkimReason.SIGNATURE_MISMATCH, "a signed header field has changed, or another key was used"
        )

    def _weaknesses(self, choice: Choice, *, testing: bool) -> tuple[str, ...]:
        """Why a pass is not good enough for people (RFC 6376 5.4.1, 8.14, 8.15)."""
        if self._seen_weak is None:
            self._seen_weak = self._weaknesses_of_message()
        weaknesses = (Weakness.TESTING_KEY, *self._seen_weak) if testing else self._seen_weak
        if not choice.unsigned:
            return weaknesses
        seen = [name for name in choice.unsigned if name in _SEEN and name not in choice.names]
        return (
            (*weaknesses, *(f"{Weakness.UNSIGNED_FIELD}:{name.decode()}" for name in seen))
            if seen
            else weaknesses
        )

    def _weaknesses_of_message(self) -> tuple[str, ...]:
        """Those that every signature of the message has."""
        message = self._message
        defects = message.defects
        weaknesses: list[str] = []
        if defects and Defect.WSP_BEFORE_COLON in defects:
            weaknesses.append(Weakness.MALFORMED_HEADER)
        if 0 in message.raw:  # in a body some programs end the text there
            weaknesses.append(Weakness.NUL)
        bare = bool(defects) and (Defect.BARE_CR in defects or Defect.BARE_LF in defects)
        if bare or has_bare_line_ends(message.raw, message.body_start):
            weaknesses.append(Weakness.BARE_LINE_END)
        # Several of one kind, signed or not: two programs may show different ones.
        if len(self._fields) < len(message.fields):
            weaknesses += [
                f"{Weakness.DUPLICATE_FIELD}:{name.decode()}"
                for name, found in self._fields.items()
                if len(found) > 1 and name in ONCE
            ]
        return tuple(weaknesses)


def _texts(names: list[bytes]) -> tuple[str, ...]:
    return tuple([name.decode() for name in names])
