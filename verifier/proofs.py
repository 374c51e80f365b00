"""All that was found out about a message, as one value: what the verdict is decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from verifier.claims import Claims
from verifier.evidence import Opinion, SessionOrigin
from verifier.mentions import Mentions
from verifier.microsoft_365 import Saying
from verifier.record_findings import NOTHING_FOUND, RecordFindings
from verifier.report import ArcResult, AuthorView, DkimResult, DmarcResult, SpfResult


@dataclass(frozen=True, slots=True)
class Proofs:
    """All that was found out about a message. ``opinions`` is keyed by a signature's number."""

    claims: Claims
    author: AuthorView | None
    dkim: tuple[DkimResult, ...]
    spf: SpfResult
    dmarc: DmarcResult
    arc: ArcResult
    origin: SessionOrigin | None
    opinions: Mapping[int, Opinion]
    mentions: Mentions = field(default_factory=Mentions)
    supplied: tuple[str, ...] = ()
    border: tuple[str, tuple[str, ...]] | None = None  # what a trusted border server noted: its id, and its results
    boundary: str | None = None  # the trusted host that took a saved message in, if its own header tells
    microsoft: tuple[Saying, ...] = ()  # what Microsoft 365 fields of a saved message say
    findings: RecordFindings = NOTHING_FOUND  # what our own records say
    rebuilt: bool = False  # not the bytes that were sent: no signature can be checked
