"""Orders about the codes in our mail: the question that came to the verify mailbox, and the answer. Pure.

The question is ordered in the intake transaction without a look at whether any mail bears the code, so that nobody learns it from
the time that takes. The answer goes to the contact on record for that mail, who may be another one than who asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from outbound.mail_code import MAX_CODES, plain_code
from outbound.model import AutomaticOrder, MailKind, Scalar, Value
from outbound.orders import OrderError

_ASKED = "code_"


def code_question(
    *, contact_id: int, address: str, codes: Iterable[str], idempotency_key: str, ordered_at: datetime
) -> AutomaticOrder:
    """The order to find out which mails bear ``codes`` (plain ones). ``contact_id`` is the known contact who asked."""
    asked = dict(enumerate(list(codes)[:MAX_CODES], start=1))
    return AutomaticOrder(
        kind=MailKind.CODE_ANSWER,
        thread_id=None,
        contact_id=contact_id,
        address=address,
        idempotency_key=idempotency_key,
        ordered_at=ordered_at,
        params=MappingProxyType({f"{_ASKED}{number}": code for number, code in asked.items()}),
    )


def code_answer(  # noqa: PLR0917 -- each argument a different thing
    kind: MailKind,
    written: datetime,
    subject: str,
    thread_id: int | None,
    contact_id: int,
    address: str,
    idempotency_key: str,
    ordered_at: datetime,
) -> AutomaticOrder:
    """The order to tell the contact on record which mail it was. ``subject`` is ours, or empty."""
    return AutomaticOrder(
        kind=MailKind.CODE_ANSWER,
        thread_id=thread_id,
        contact_id=contact_id,
        address=address,
        idempotency_key=idempotency_key,
        ordered_at=ordered_at,
        params=MappingProxyType(
            {"about": kind.value, "written": written.isoformat(), "subject_line": subject}
        ),
    )


def codes_asked(order: AutomaticOrder) -> tuple[str, ...]:
    """The codes that an order asks about; none for an answer. OrderError for a fact that is no code."""
    if order.kind is not MailKind.CODE_ANSWER or "about" in order.params:
        return ()
    found = tuple(plain_code(str(value)) for value in order.params.values())
    if not found or len(found) > MAX_CODES or None in found:
        raise OrderError("The order asks about something that is no code.")
    return tuple(code for code in found if code is not None)


def answer_facts(params: Mapping[str, Scalar]) -> Mapping[str, Value]:
    """What an answer says; OrderError for a fact that is none of ours."""
    if set(params) != {"about", "written", "subject_line"}:
        raise OrderError("The order does not hold the facts of an answer about a code, and only those.")
    try:
        written = datetime.fromisoformat(str(params["written"]))
    except ValueError as error:
        raise OrderError("The order holds a time that is none.") from error
    facts: dict[str, Value] = {"about": str(params["about"]), "written": written}
    if params["subject_line"]:
        facts["subject_line"] = str(params["subject_line"])
    return facts
