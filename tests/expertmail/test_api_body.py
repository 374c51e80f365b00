"""Whatever comes as a body, a form comes out or one refusal in printable words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from expertmail.console.api_body import form_of
from expertmail.console.api_forms import IncidentChange, NewIncident, NewNotification, NewTask, TaskChange

FORMS: list[type[BaseModel]] = [NewIncident, IncidentChange, NewTask, TaskChange, NewNotification]
NAMES = sorted({name for form in FORMS for name in form.model_fields})
# Lone surrogates too: JSON can spell them.
TEXT = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["High", "reply", "2026-11-25T10:00:00Z", "\ud800"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES) | TEXT, VALUES, max_size=6)


def told(body: bytes, form: type[BaseModel]) -> None:
    """Read it; a refusal has to be one that can be shown."""
    refused: HTTPException | None = None
    try:
        form_of(body, form).model_dump_json()
    except HTTPException as error:
        refused = error
    if refused is not None:
        assert refused.status_code in (400, 422)
        assert refused.detail.isprintable()
        assert len(refused.detail.encode()) < 2_000


@given(st.sampled_from(FORMS), st.binary(max_size=200))
def test_any_octets_are_read_or_refused(form: type[BaseModel], body: bytes) -> None:
    told(body, form)


@given(st.sampled_from(FORMS), OBJECTS)
def test_any_object_is_read_or_refused(form: type[BaseModel], value: dict[str, Any]) -> None:
    told(json.dumps(value).encode(), form)


@given(st.sampled_from(["title", "organisation"]), TEXT)
def test_no_line_that_is_taken_has_a_control_character(name: str, text: str) -> None:
    value = {"title": "T", "organisation": "O", name: text}
    try:
        read = form_of(json.dumps(value).encode(), NewIncident)
    except HTTPException:
        return
    assert getattr(read, name).isprintable()
    assert getattr(read, name) == text.strip() != ""


def test_a_form_that_is_right_is_read() -> None:
    read = form_of(
        b' {"title":"T","organisation":"O","severity":"High","opened_at":"2026-11-25T11:00:00+01:00"} ',
        NewIncident,
    )
    assert (read.severity, read.opened_at and read.opened_at.isoformat()) == (
        "High",
        "2026-11-25T10:00:00+00:00",
    )
    with pytest.raises(HTTPException, match="422"):
        form_of(b'{"title":"T"}', NewIncident)
