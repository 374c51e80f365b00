"""What requests of the HTTP interface may hold, field by field. Nothing else is taken, and nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from outbound.compose import MAX_RECIPIENTS
from outbound.model import MailKind
from outbound.template import DEFAULT_LANGUAGE
from threads.model import Assignee, Classification, Severity, State, TaskSource, TaskStatus

MAX_TITLE: Final = 500
"""Characters; a mail shows 200."""
MAX_TEXT: Final = 20_000
"""Characters of a note; who has more has a document."""
MAX_WORDS: Final = 20
"""Variables of one mail; no template has more."""
MAX_LANGUAGE: Final = 35
"""Characters of a language tag (RFC 5646 4.4.1)."""
MAX_ITEMS: Final = 100
"""Of a variable that is a list; templates take 50 at most, and say so themselves."""
WRITTEN: Final = frozenset(kind for kind in MailKind if kind.templated and not kind.automatic)
"""The kinds of mail that somebody writes."""


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("write it on one line, without control characters")
    if not text.strip():
        raise ValueError("it is empty")
    return text.strip()


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    if not _encodable(text):
        raise ValueError("it is not Unicode text")
    return text.strip()


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time is text, such as 2026-11-25T10:00:00+00:00")  # noqa: TRY004 -- pydantic turns only this one into a finding
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("it is no time, such as 2026-11-25T10:00:00+00:00") from None
    if at.tzinfo is None:
        raise ValueError("the time needs a zone, such as +00:00")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is no time of this world") from None


def _variables(value: object) -> dict[str, str | list[str]]:
    """Checked by hand: the first thing that is wrong ends it, however much of that there is."""
    if not isinstance(value, dict) or len(value) > MAX_WORDS:
        raise ValueError(f"it has to be an object with at most {MAX_WORDS} fields")
    for name, one in value.items():
        items = one if isinstance(one, list) else [one]
        if len(items) > MAX_ITEMS or not all(isinstance(item, str) for item in items):
            raise ValueError(f"{name[:60]!a} has to be text, or a list of at most {MAX_ITEMS} texts")
        if not all(_encodable(item) for item in (name, *items)):
            raise ValueError(f"{name[:60]!a} is not Unicode text")
    return value


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _written(kind: MailKind) -> MailKind:
    if kind not in WRITTEN:
        raise ValueError("mail of this kind is sent automatically and is written by nobody")
    return kind


Language = Annotated[str, Field(max_length=MAX_LANGUAGE, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
Line = Annotated[str, Field(max_length=MAX_TITLE), AfterValidator(_one_line)]
Words = Annotated[dict[str, str | list[str]], BeforeValidator(_variables)]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_text)]
Number = Annotated[int, Field(ge=1, lt=2**31)]
"""Of a row."""
Place = Annotated[str, Field(max_length=60)]
"""Where a list goes on: as the page before gave it."""
Moment = Annotated[datetime, BeforeValidator(_moment)]


# JSON has text where we have a word of an enumeration, which strictness alone would refuse.
_WORD: Final = Field(strict=False)
SeverityWord = Annotated[Severity, _WORD]
ClassificationWord = Annotated[Classification, _WORD]
AssigneeWord = Annotated[Assignee, _WORD]
StateWord = Annotated[State, _WORD]
SourceWord = Annotated[TaskSource, _WORD]
StatusWord = Annotated[TaskStatus, _WORD]
KindWord = Annotated[MailKind, _WORD, AfterValidator(_written)]


class StrictForm(BaseModel):
    """A body: each field of its own type, none unknown and none null."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_null(cls, value: Any) -> Any:
        """Null could mean "leave it" or "take it away"; who means the first leaves the field out."""
        if isinstance(value, dict):
            for name, one in value.items():
                if one is None:
                    raise ValueError(f"the field {str(name)[:60]!a} is null; leave it out instead")
        return value


class QueryForm(BaseModel):
    """What may stand in an address after the question mark: text, read as the field's type, and nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NewIncident(StrictForm):
    """An incident to open."""

    organisation: Line
    title: Line
    severity: SeverityWord = Severity.MEDIUM
    classification: ClassificationWord | None = None
    assigned_to: AssigneeWord = Assignee.DEFENDER_EXPERTS
    opened_at: Moment | None = None
    imported: bool = False


class IncidentChange(StrictForm):
    """What is to be different about an incident."""

    state: StateWord | None = None
    assigned_to: AssigneeWord | None = None
    classification: ClassificationWord | None = None
    severity: SeverityWord | None = None

    @model_validator(mode="after")
    def _something(self) -> IncidentChange:
        if not self.model_fields_set:
            raise ValueError("name at least one of: state, assigned_to, classification, severity")
        return self


class NewTask(StrictForm):
    """A task to add."""

    title: Line
    source: SourceWord = TaskSource.GUIDED_RESPONSE


class TaskChange(StrictForm):
    """Where a task stands."""

    status: StatusWord


class NewNotification(StrictForm):
    """A mail to write, filled with the kind's own variables.

    It goes to contacts of the incident's customer; for the reason ``outside`` also to other addresses, in ``language``.
    ``send_after`` and ``send_before`` say when it may go.
    """

    kind: KindWord
    to: Annotated[list[Line], Field(min_length=1, max_length=MAX_RECIPIENTS)]
    words: Words = {}
    test_to: Line | None = None
    break_glass: Line | None = None
    outside: Line | None = None
    language: Language = DEFAULT_LANGUAGE
    send_after: Moment | None = None
    send_before: Moment | None = None
    dry_run: bool = False


class NewCustomerNotification(NewNotification):
    """A mail to write to contacts of a customer, about no incident.

    It takes what a mail about an incident takes; ``outside`` is refused, for such a mail goes to the customer's contacts only.
    """

    organisation: Line

    @model_validator(mode="after")
    def _about_no_incident(self) -> NewCustomerNotification:
        if self.kind.needs_thread:
            raise ValueError(
                f"a {self.kind.value} mail is about an incident; post it to /api/v1/incidents/REFERENCE/notifications"
            )
        if self.outside is not None:
            raise ValueError(
                "without an incident mail goes to contacts of the customer only; leave out 'outside'"
            )
        return self
