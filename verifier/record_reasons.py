"""What our own records say of a message, in a person's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from verifier.evidence import Opinion
from verifier.proofs import Proofs
from verifier.reason_codes import ReasonCode
from verifier.reasons import reason
from verifier.record_findings import Sameness
from verifier.report import Effect, Reason


def told_by_records(proofs: Proofs) -> Iterator[Reason]:
    """What stands beside a verdict: likeness to a mail of ours, replays, a key that is gone."""
    found = proofs.findings
    match = found.sent
    if match is not None and match.sameness is not Sameness.IDENTICAL:
        sent = f"a mail that we sent to {match.mail.rcpt_to} on {_day(match.mail.at)}"
        other = ", ".join(match.differs) or "only fields that people are not shown"
        if match.sameness is Sameness.EQUAL_BODY:
            text = f"Its text is that of {sent}; what differs: {other}. Texts can be copied, so that proves nothing."
            yield reason(ReasonCode.LEDGER_EQUAL_BODY, text, Effect.INFORMS, evidence=match.mail.message_id)
        else:
            text = f"It has the Message-ID of {sent}, but is another message; what differs: {other}."
            yield reason(
                ReasonCode.LEDGER_SAME_MESSAGE_ID, text, Effect.INFORMS, evidence=match.mail.message_id
            )
    for replay in found.replays:
        result = next(r for r in proofs.dkim if r.position == replay.position)
        whom = "for somebody else" if replay.for_others else "for the same recipient"
        text = (
            f"The very message that {result.domain} signed here came in before, on {_day(replay.first)} {whom}: "
            "somebody sends it again."
        )
        yield reason(
            ReasonCode.SIGNATURE_REPLAYED, text, Effect.WEAKENS, evidence=f"signature {replay.position + 1}"
        )
    if found.archived is not None and not archived_proof(proofs):
        key = found.archived.key
        text = (
            f"Its signature holds by a key that was published from {_day(key.first)} to {_day(key.last)} and is gone: "
            "who has had the key since is not known, so that is no proof."
        )
        yield reason(ReasonCode.ARCHIVED_KEY, text, Effect.WEAKENS, evidence=f"{key.name} TXT")


def ledger_proof(proofs: Proofs) -> tuple[Reason, ...]:
    """The reason that a mail of ours is proven by, where the message is that mail octet for octet; else nothing."""
    match = proofs.findings.sent
    if match is None or match.sameness is not Sameness.IDENTICAL:
        return ()
    text = (
        f"It is, octet for octet below what servers put above it, the mail that we sent to {match.mail.rcpt_to} "
        f"on {_day(match.mail.at)}."
    )
    return (reason(ReasonCode.LEDGER_IDENTICAL, text, Effect.PROVES, evidence=match.mail.message_id),)


def archived_proof(proofs: Proofs) -> tuple[Reason, ...]:
    """The reason that holds where this very message came in while its key was published; else nothing."""
    proof = proofs.findings.archived
    if proof is None or proof.recorded is None or proofs.opinions.get(proof.position) is not Opinion.PASS:
        return ()
    text = (
        f"We took in this very message on {_day(proof.recorded)}, while the key that it is signed with was published; "
        "the key is gone since."
    )
    return (
        reason(ReasonCode.RECORDED_UNDER_KEY, text, Effect.PROVES, evidence=f"{proof.key.name} TXT"),
        reason(
            ReasonCode.IMPLEMENTATIONS_AGREE,
            "A second, independent program checked the signature too.",
            Effect.PROVES,
        ),
    )


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
