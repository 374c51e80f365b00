"""The verdict as a value: what was claimed, what was proven, and why. Shapes follow the outside contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What an analyst is told."""

    GENUINE = "genuine"
    AUTHENTIC_UNPINNED = "authentic-unpinned"
    FORGED = "forged"
    UNPROVEN = "unproven"
    NO_CLAIM = "no-claim"


class Effect(StrEnum):
    """What a reason does to the verdict."""

    PROVES = "proves"
    CONTRADICTS = "contradicts"
    WEAKENS = "weakens"
    INFORMS = "informs"


class ClaimedBy(StrEnum):
    """How a message claims to come from a protected identity."""

    AUTHOR_DOMAIN = "author-domain"
    AUTHOR_ADDRESS = "author-address"
    DISPLAY_NAME = "display-name"
    LOOKALIKE_DOMAIN = "lookalike-domain"
    HIDDEN_ADDRESS = "hidden-address"


class AuthResult(StrEnum):
    """Result words of RFC 8601 2.7 for DKIM, SPF, DMARC and ARC."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class DmarcMode(StrEnum):
    """By which RFC DMARC is evaluated; the older one goes by the public suffix list."""

    RFC9989 = "rfc9989"
    RFC7489 = "rfc7489"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a stable code, a sentence for a person, the RFC section, the effect, and the evidence behind it."""

    code: str
    text: str
    rfc: str | None
    effect: Effect
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: the protected identity's name, how it is made, and a detail for a person."""

    identity: str
    by: ClaimedBy
    detail: str


@dataclass(frozen=True, slots=True)
class AuthorView:
    """The author as read strictly: address, domain in A-labels, decoded display name or None."""

    address: str
    domain: str
    display: str | None


class DkimResult(NamedTuple):
    """One DKIM-Signature (RFC 6376). ``result`` is the protocol's word; ``acceptable`` is our stricter judgement.

    ``signed``/``oversigned``/``unsigned`` are lower-case names of header fields; a field is ``oversigned``
    (and listed in ``signed`` too) when h= names it more often than it occurs. ``weaknesses`` says why a
    passing signature is not acceptable. ``position`` counts DKIM-Signature fields from the top.
    A named tuple, since a frozen dataclass of so many fields takes four times as long to make.
    """

    position: int
    result: AuthResult
    reason: str | None
    domain: str | None
    selector: str | None
    algorithm: str | None
    signed: tuple[str, ...] = ()
    oversigned: tuple[str, ...] = ()
    unsigned: tuple[str, ...] = ()
    acceptable: bool = False
    aligned: bool = False
    testing: bool = False  # key flag t=y: not acceptable, does not feed DMARC
    weaknesses: tuple[str, ...] = ()
    detail: str = ""
    value: bytes = b""  # of b=, decoded: it stands for what was signed; empty where the field cannot be read


@dataclass(frozen=True, slots=True)
class SpfResult:
    """SPF (RFC 7208). ``domain`` is the checked one, ``scope`` mailfrom or helo, ``source`` session/reconstructed/none."""

    result: AuthResult
    domain: str | None = None
    scope: str = "mailfrom"
    client_ip: str | None = None
    source: str = "none"
    detail: str = ""
    null_path: bool = (
        False  # empty reverse path: postmaster@HELO is the MAIL FROM identity, so DMARC counts it
    )
    reason: str | None = None  # the code of ``spf_reason`` behind "none" or an error


class DmarcResult(NamedTuple):
    """DMARC by the RFC of ``mode``. ``policy`` is what would apply after sp, np and t; ``aligned_by``: "dkim", "spf".

    ``percent`` is what the applied record says in pct, which only RFC 7489 knows; it changes nothing here.
    """

    result: AuthResult
    policy: str | None = None
    policy_domain: str | None = None
    org_domain: str | None = None
    aligned_by: tuple[str, ...] = ()
    reason: str | None = None
    mode: DmarcMode = DmarcMode.RFC9989
    percent: int | None = None


class ArcHop(NamedTuple):
    """One ARC set: its ``seal`` and ``message`` signature as they verify now, and what its results say of DMARC.

    ``status`` is what the sealer said of the chain before it (cv=). A message signature of an older hop that fails
    says only that a later hop changed the message.
    """

    instance: int
    domain: str
    selector: str
    status: str
    seal: AuthResult
    message: AuthResult
    authserv_id: str | None = None
    dmarc: str | None = None
    author_domain: str | None = None


@dataclass(frozen=True, slots=True)
class ArcResult:
    """ARC (RFC 8617), as evidence only. ``hops`` and ``sealers`` newest first; ``trusted`` is the identity's view."""

    result: AuthResult = AuthResult.NONE
    sealers: tuple[str, ...] = ()
    trusted: bool = False
    reason: str | None = None
    hops: tuple[ArcHop, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The whole verdict on one message; ``inner`` holds the reports on attached messages."""

    verdict: Verdict
    sentence: str
    author: AuthorView | None
    claims: tuple[Claim, ...]
    dkim: tuple[DkimResult, ...]
    spf: SpfResult
    dmarc: DmarcResult
    arc: ArcResult
    reasons: tuple[Reason, ...]
    inner: tuple[Report, ...] = ()
    supplied: tuple[str, ...] = ()  # which of "evidence", "clock", "session" a user supplied
