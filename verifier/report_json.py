"""A report in the shape of the outside contract (``verify --json``, ``POST /api/v1/verify``)."""

from __future__ import annotations

from typing import Any

from verifier.explanation import as_object, explain
from verifier.report import Report


def as_json(report: Report, file: str | None, *, explained: bool = False) -> dict[str, Any]:
    """The contract's object; ``file`` is the name shown for the message, None where there is none.

    ``explained`` adds ``explanation``: the chain, the checks, what would change the verdict, and what to do.
    """
    author = report.author
    told = {"explanation": as_object(explain(report))} if explained else {}
    return {
        "file": file,
        "verdict": report.verdict.value,
        "sentence": report.sentence,
        "author": None
        if author is None
        else {"address": author.address, "domain": author.domain, "display": author.display},
        "claims": [{"identity": c.identity, "by": c.by.value, "detail": c.detail} for c in report.claims],
        "dkim": [
            {
                "result": d.result.value,
                "reason": d.reason,
                "domain": d.domain,
                "selector": d.selector,
                "algorithm": d.algorithm,
                "aligned": d.aligned,
                "acceptable": d.acceptable,
                "signed": list(d.signed),
                "oversigned": list(d.oversigned),
                "unsigned": list(d.unsigned),
                "weaknesses": list(d.weaknesses),
                "testing": d.testing,
            }
            for d in report.dkim
        ],
        "spf": {
            "result": report.spf.result.value,
            "domain": report.spf.domain,
            "scope": report.spf.scope,
            "client_ip": report.spf.client_ip,
            "source": report.spf.source,
            "reason": report.spf.reason,
        },
        "dmarc": {
            "result": report.dmarc.result.value,
            "policy": report.dmarc.policy,
            "policy_domain": report.dmarc.policy_domain,
            "org_domain": report.dmarc.org_domain,
            "aligned_by": list(report.dmarc.aligned_by),
            "reason": report.dmarc.reason,
            "mode": report.dmarc.mode.value,
            "percent": report.dmarc.percent,
        },
        "arc": {
            "result": report.arc.result.value,
            "sealers": list(report.arc.sealers),
            "trusted": report.arc.trusted,
            "reason": report.arc.reason,
            "hops": [
                {
                    "instance": hop.instance,
                    "domain": hop.domain,
                    "selector": hop.selector,
                    "status": hop.status,
                    "seal": hop.seal.value,
                    "message": hop.message.value,
                    "authserv_id": hop.authserv_id,
                    "dmarc": hop.dmarc,
                    "author_domain": hop.author_domain,
                }
                for hop in report.arc.hops
            ],
        },
        "reasons": [
            {"code": r.code, "text": r.text, "rfc": r.rfc, "effect": r.effect.value, "evidence": r.evidence}
            for r in report.reasons
        ],
        "supplied": list(report.supplied),
        "inner": [
            as_json(inner, None if file is None else f"{file}#{n}", explained=explained)
            for n, inner in enumerate(report.inner, 1)
        ],
        **told,
    }
