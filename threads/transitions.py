"""Which changes of state a person may make, and what to say of the others. Pure.

The service's words run Active, In progress, Awaiting customer action, Resolved. A thread may skip ahead; it goes back only
to be worked on, and a resolved one has to be reopened first. Programs (a reply that comes in) follow rules of their own.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from threads.model.conversation import State
from threads.model.tasks import TaskStatus

_STATES: Final = MappingProxyType(
    {
        State.ACTIVE: (State.IN_PROGRESS, State.AWAITING_CUSTOMER, State.RESOLVED),
        State.IN_PROGRESS: (State.AWAITING_CUSTOMER, State.RESOLVED),
        State.AWAITING_CUSTOMER: (State.IN_PROGRESS, State.RESOLVED),
        State.RESOLVED: (State.ACTIVE, State.IN_PROGRESS),
    }
)
_TASKS: Final = MappingProxyType(
    {
        TaskStatus.OPEN: (
            TaskStatus.IN_PROGRESS,
            TaskStatus.COMPLETED,
            TaskStatus.FAILED,
            TaskStatus.NOT_RELEVANT,
        ),
        TaskStatus.IN_PROGRESS: (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.NOT_RELEVANT),
        TaskStatus.COMPLETED: (TaskStatus.IN_PROGRESS,),
        TaskStatus.FAILED: (TaskStatus.IN_PROGRESS, TaskStatus.NOT_RELEVANT),
        TaskStatus.NOT_RELEVANT: (TaskStatus.OPEN,),
    }
)


def state_refusal(before: State, after: State) -> str | None:
    """Why a person may not bring a thread from ``before`` to ``after``, in one clause; None if they may (or nothing changes)."""
    if after is before or after in _STATES[before]:
        return None
    if before is State.RESOLVED:
        return "it is resolved; reopen it first: Active or In progress"
    return f"it is {before} and has been taken up; from there it goes to {_listed(_STATES[before])}"


def resumes(state: State, *, contact: bool) -> bool:
    """Whether a person of the customer's who writes there has the experts take a thread up again.

    It reopens what was resolved. Only a ``contact``'s words end the wait for the customer.
    """
    return state is State.RESOLVED or (contact and state is State.AWAITING_CUSTOMER)


def task_refusal(before: TaskStatus, after: TaskStatus) -> str | None:
    """The same for a task."""
    if after is before or after in _TASKS[before]:
        return None
    return f"it is {before}; from there it goes to {_listed(_TASKS[before])}"


def _listed(words: tuple[State | TaskStatus, ...]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1].value)))
