"""ARC (RFC 8617): whether the chain of custody holds, hop by hop. Evidence only: it never makes a claim proven."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

from verifier.arc_results import ArcClaims, claims_of
from verifier.arc_set import ArcError, ArcReason, ArcSet, Seal, read_sets
from verifier.canonical import BodyHashes, has_odd_blanks, relaxed_value
from verifier.dkim import CLOCK_TOLERANCE, UNREADABLE
from verifier.dkim_key import usable_keys
from verifier.dkim_reason import DkimError, DkimReason
from verifier.dkim_signature import Signature, without_signature
from verifier.evidence import NOTHING, Answer, Check, Question, ask
from verifier.message import Message
from verifier.report import ArcHop, ArcResult, AuthResult
from verifier.signed_form import choose, relaxed_field, signed_form

_NONE: Final = ArcResult()
_ARC: Final = (b"arc-seal", b"arc-message-signature", b"arc-authentication-results")


def check_arc(message: Message, at: datetime, bodies: BodyHashes | None = None) -> Check[ArcResult]:
    """Validate the chain at the time ``at`` (RFC 8617 5.2); ``trusted`` is left False.

    Result words: none, pass, fail, and temperror when a key that is needed could not be fetched just now.
    """
    evidence = yield NOTHING
    if not any(name in message.by_name for name in _ARC):
        return _NONE
    if message.defects and not UNREADABLE.isdisjoint(message.defects):
        return ArcResult(AuthResult.FAIL, reason=ArcReason.MALFORMED_HEADER)
    try:
        sets = read_sets(message)
    except ArcError as error:
        return ArcResult(AuthResult.FAIL, reason=error.reason)
    work = _Work(message, at.timestamp(), bodies or BodyHashes(message))
    reason = _status_reason(sets)
    if reason is None:
        # Most broken chains break here, so nothing else is asked for yet: older keys are many, and somebody else's.
        newest = _key(sets[-1].signature)
        evidence = yield from ask(evidence, (newest,))
        reason = work.check_message(sets[-1], evidence.get(newest))
    if reason is None:
        questions = {_key(one.seal) for one in sets}
        evidence = yield from ask(evidence, sorted(questions))
        reason = work.check_seals(sets, {key: evidence.get(key) for key in questions})
        for one in sets[:-1]:
            # What an older hop signed is told, and decides nothing: no question is spent on it. Nearly every
            # sealer uses one key for both.
            if _key(one.signature) in questions:
                work.check_message(one, evidence.get(_key(one.signature)))
    return work.ended(sets, AuthResult.PASS if reason is None else _word(reason), reason)


def _status_reason(sets: tuple[ArcSet, ...]) -> ArcReason | None:
    """RFC 8617 5.2 (2), (3): what the sealers themselves say of the chain."""
    if sets[-1].seal.status == "fail":
        return ArcReason.FAILED_BEFORE
    if any(one.seal.status != ("none" if one.instance == 1 else "pass") for one in sets):
        return ArcReason.CHAIN_STATUS
    return None


def _key(signed: Signature | Seal) -> Question:
    return Question(signed.key_name + ".", "TXT")


def _word(reason: ArcReason) -> AuthResult:
    return AuthResult.TEMPERROR if reason is ArcReason.KEY_UNAVAILABLE else AuthResult.FAIL


class _Work:
    """What the hops of one message share, and what was found out about each of them."""

    def __init__(self, message: Message, now: float, bodies: BodyHashes) -> None:
        self._message = message
        self._now = now
        self._bodies = bodies
        self._odd_blanks = has_odd_blanks(message)
        self._messages: dict[int, AuthResult] = {}
        self._seals: dict[int, AuthResult] = {}

    def ended(self, sets: tuple[ArcSet, ...], result: AuthResult, reason: ArcReason | None) -> ArcResult:
        """The result, newest hop first."""
        hops = tuple(self._hop(one) for one in reversed(sets))
        return ArcResult(result, tuple(hop.domain for hop in hops), reason=reason, hops=hops)

    def _hop(self, one: ArcSet) -> ArcHop:
        claims: ArcClaims = claims_of(one.payload)
        return ArcHop(
            one.instance,
            one.seal.domain,
            one.seal.selector,
            one.seal.status,
            self._seals.get(one.instance, AuthResult.NONE),
            self._messages.get(one.instance, AuthResult.NONE),
            claims.authserv_id,
            claims.dmarc,
            claims.author_domain,
        )

    def check_message(self, one: ArcSet, answer: Answer | None) -> ArcReason | None:
        """Whether a message signature holds (RFC 8617 5.2 (4)); None when it does."""
        reason = self._message_reason(one.signature, answer)
        self._messages[one.instance] = AuthResult.PASS if reason is None else _word(reason)
        return reason

    def _message_reason(self, signature: Signature, answer: Answer | None) -> ArcReason | None:
        if signature.expires is not None and signature.expires < self._now:
            return ArcReason.MESSAGE_CHANGED
        if signature.time is not None and signature.time > self._now + CLOCK_TOLERANCE:
            return ArcReason.MESSAGE_CHANGED
        if self._bodies.get(signature.body_method).digest != signature.body_hash:
            return ArcReason.MESSAGE_CHANGED
        fields = choose(signature.headers, self._message.by_name).fields
        digest = sha256(signed_form(signature, fields, odd_blanks=self._odd_blanks)).digest()
        return _checked(signature, digest, answer, ArcReason.MESSAGE_CHANGED)

    def check_seals(
        self, sets: tuple[ArcSet, ...], answers: dict[Question, Answer | None]
    ) -> ArcReason | None:
        """What is wrong with the newest seal that does not hold (RFC 8617 5.1.1, 5.2 (5)); None when all do.

        A seal covers its own set and all older ones. Each field is canonicalised once: the hash goes on from where
        the seal before left it.
        """
        sealed = sha256()
        found: ArcReason | None = None
        for one in sets:
            sealed.update(relaxed_field(one.results) + relaxed_field(one.signature.field))
            own = sealed.copy()
            own.update(one.seal.field.lower + b":" + relaxed_value(without_signature(one.seal.field.value)))
            sealed.update(relaxed_field(one.seal.field))
            reason = _checked(one.seal, own.digest(), answers.get(_key(one.seal)), ArcReason.SEAL_FAILS)
            self._seals[one.instance] = AuthResult.PASS if reason is None else _word(reason)
            found = reason or found
        return found


def _checked(
    signed: Signature | Seal, digest: bytes, answer: Answer | None, failing: ArcReason
) -> ArcReason | None:
    try:
        keys = usable_keys(answer, signed.key_type, same_domain=True)
    except DkimError as error:
        return ArcReason.KEY_UNAVAILABLE if error.reason is DkimReason.KEY_UNAVAILABLE else ArcReason.KEY
    return None if any(key.verifies(signed.signature, digest) for key in keys) else failing
