"""What the record knows of a letter's words, so that its writer need not say it again. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from outbound.model import MailKind, Value
from threads.model import Organisation, Task, TaskSource, TaskStatus, Thread

UNNAMED = "The experts"
"""Below a mail whose writer is not named: an account such as root tells a customer nothing."""


def facts_on_record(
    kind: MailKind,
    given: Collection[str],
    thread: Thread | None,
    customer: Organisation,
    tasks: Sequence[Task],
) -> Mapping[str, Value]:
    """The variables that the record can fill in, for the kinds that have a place for them; a writer's words go first.

    ``given`` are the names of those words. A managed response tells of the customer's tasks that are pending and of those
    that the experts completed, unless its writer says either: then it says that and no more.
    """
    facts: dict[str, Value] = {"expert": UNNAMED, "organisation": customer.name}
    if thread is not None and thread.severity is not None:
        facts["severity"] = thread.severity.value
    steps = _steps(tasks)
    if kind is MailKind.MANAGED_RESPONSE and not steps.keys() & set(given):
        facts |= {name: titles for name, titles in steps.items() if titles}
    return facts


def _steps(tasks: Sequence[Task]) -> Mapping[str, tuple[str, ...]]:
    pending = (one for one in tasks if one.source is TaskSource.GUIDED_RESPONSE and one.status.pending)
    completed = (
        one
        for one in tasks
        if one.source is TaskSource.MANAGED_RESPONSE and one.status is TaskStatus.COMPLETED
    )
    return {
        "pending": tuple(one.title for one in pending),
        "completed": tuple(one.title for one in completed),
    }
