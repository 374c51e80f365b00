"""Is this message what it says it is? Pure evaluation over bytes, DNS evidence and a clock.

What other programs use is exported here (docs/library.md); everything else may change. A name is loaded when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question, Session, SessionOrigin
    from verifier.evidence_file import read_evidence, write_evidence
    from verifier.explanation import Explanation, explain
    from verifier.identity import Identity, parse_identities
    from verifier.library import verify, verify_offline
    from verifier.opinion_worker import SecondOpinion
    from verifier.report import Report, Verdict
    from verifier.report_json import as_json
    from verifier.resolver import Resolver

__all__ = [
    "Absent",
    "Answer",
    "AnswerStatus",
    "Evidence",
    "Explanation",
    "Identity",
    "Question",
    "Report",
    "Resolver",
    "SecondOpinion",
    "Session",
    "SessionOrigin",
    "Verdict",
    "as_json",
    "explain",
    "parse_identities",
    "read_evidence",
    "verify",
    "verify_offline",
    "write_evidence",
]

_HOME = {
    **dict.fromkeys(
        ("Absent", "Answer", "AnswerStatus", "Evidence", "Question", "Session", "SessionOrigin"), "evidence"
    ),
    **dict.fromkeys(("read_evidence", "write_evidence"), "evidence_file"),
    **dict.fromkeys(("Explanation", "explain"), "explanation"),
    **dict.fromkeys(("Identity", "parse_identities"), "identity"),
    **dict.fromkeys(("verify", "verify_offline"), "library"),
    "SecondOpinion": "opinion_worker",
    **dict.fromkeys(("Report", "Verdict"), "report"),
    "as_json": "report_json",
    "Resolver": "resolver",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
