"""What is to be done about an incident, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TaskSource(StrEnum):
    """Whose work it is, in the service's own words."""

    GUIDED_RESPONSE = "defenderExpertsGuidedResponse"  # pending on the customer
    MANAGED_RESPONSE = "defenderExpertsManagedResponse"  # done by the experts


class TaskStatus(StrEnum):
    """Where a task stands, in the service's own words."""

    OPEN = "open"
    IN_PROGRESS = "inProgress"
    COMPLETED = "completed"
    FAILED = "failed"
    NOT_RELEVANT = "notRelevant"

    @property
    def pending(self) -> bool:
        """Whether somebody has still to do something."""
        return self in (TaskStatus.OPEN, TaskStatus.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of an incident; people call it by the thread's reference and its ``number`` there, from 1."""

    id: int
    thread_id: int
    number: int
    title: str
    source: TaskSource
    status: TaskStatus
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
