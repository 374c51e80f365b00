"""What was typed becomes the words of a mail, by the types that its template declares; and what a writer is told of them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expertmail.compose_facts import UNNAMED, facts_on_record
from expertmail.compose_lint import lint, written_in
from expertmail.compose_words import (
    WRITTEN_KINDS,
    moment_typed,
    named_text,
    table_of,
    words_in_table,
    words_of_file,
    words_typed,
    written_kind,
)
from outbound.disclosure import Disclosure
from outbound.errors import ComposeError
from outbound.model import MailKind, Rendered
from outbound.template_files import load_templates
from outbound.variables import Variable, VariableType
from threads.model import Assignee, Organisation, State, Thread, ThreadKind

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
KIND = MailKind.REPLY  # only its name is in what is said
VARIABLES = (
    Variable("title", VariableType.LINE),
    Variable("text", VariableType.TEXT),
    Variable("steps", VariableType.LINES, count=3),
    Variable("number", VariableType.COUNT),
    Variable("place", VariableType.CHOICE, options=("chat", "inquiry")),
    Variable("since", VariableType.MOMENT),
    Variable("findings", VariableType.FINDINGS),
)


def test_each_text_takes_the_type_of_its_variable() -> None:
    typed = words_typed(
        KIND,
        VARIABLES,
        [
            ("title", "a=b"),
            ("steps", "one"),
            ("number", " 12 "),
            ("steps", "two"),
            ("place", "CHAT"),
            ("since", "2026-01-02T04:04+01:00"),
        ],
    )
    assert typed == {"title": "a=b", "steps": ("one", "two"), "number": 12, "place": "chat", "since": AT}


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (("colour", "red"), "no place for 'colour'; it takes title (line)"),
        (("number", "-1"), "a count"),
        (("number", "1" * 5000), "a count"),
        (("number", "٣"), "a count"),
        (("since", "yesterday"), "'since' has to be a time with its zone"),
        (("findings", "x"), "nobody writes it"),
    ],
)
def test_a_text_that_fits_no_place_is_refused_in_words(pair: tuple[str, str], told: str) -> None:
    with pytest.raises(ComposeError, match=re.escape(told)):
        words_typed(KIND, VARIABLES, [pair])


@pytest.mark.parametrize(
    "table",
    [
        {"steps": "one"},
        {"steps": [1]},
        {"steps": [["one"]]},
        {"title": {"a": 1}},
        {"title": None},
        {"title": 1.5},
        {"colour": "red"},
        {"since": "2026-01-02"},
    ],
)
def test_a_table_is_held_to_the_types_as_well(table: dict[str, object]) -> None:
    with pytest.raises(ComposeError):
        words_in_table(KIND, VARIABLES, table)


def test_toml_and_json_hold_the_same_words() -> None:
    toml = table_of(
        'title = "T"\nsteps = ["one", "two"]\nnumber = 3\nsince = 2026-01-02T03:04:00Z', as_json=False
    )
    as_json = table_of(
        '{"title": "T", "steps": ["one", "two"], "number": 3, "since": "2026-01-02T03:04:00Z"}', as_json=True
    )
    assert words_in_table(KIND, VARIABLES, toml) == words_in_table(KIND, VARIABLES, as_json)


@pytest.mark.parametrize(
    ("text", "as_json"), [("[1]", True), ("{", True), ("[" * 100_000, True), ("= 1", False)]
)
def test_what_is_no_table_is_refused(text: str, as_json: bool) -> None:
    with pytest.raises(ComposeError):
        table_of(text, as_json=as_json)


def test_a_file_holds_a_text_or_an_item_in_each_line() -> None:
    assert words_of_file(VARIABLES[1], "One.\r\n\r\nTwo.\r\n") == ("One.\r\n\r\nTwo.",)
    assert words_of_file(VARIABLES[2], "one\r\n\r\n two \n") == ("one", "two")


@pytest.mark.parametrize("pair", ["", "text", "=x", "  =x"])
def test_a_pair_needs_its_name_and_its_sign(pair: str) -> None:
    with pytest.raises(ComposeError, match="NAME=VALUE"):
        named_text(pair)


@pytest.mark.parametrize("kind", list(MailKind))
def test_only_what_a_person_may_write_has_a_name(kind: MailKind) -> None:
    if kind in WRITTEN_KINDS:
        assert written_kind(f" {kind.value.upper()}") is kind
        return
    with pytest.raises(ComposeError, match="there are: request-for-context"):
        written_kind(kind.value)


def test_a_time_keeps_its_zone() -> None:
    assert moment_typed("2026-01-02T03:04Z", "x").utcoffset() == timedelta(0)
    east = moment_typed("2026-01-02T12:04+09:00", "x")
    assert east == AT.astimezone(timezone(timedelta(hours=9)))


@given(st.text())
def test_no_text_is_a_fault_where_a_time_or_a_pair_belongs(text: str) -> None:
    for read in (
        lambda: moment_typed(text, "x"),
        lambda: named_text(text),
        lambda: table_of(text, as_json=True),
    ):
        with suppress(ComposeError):  # whatever else it is fails the test
            read()


def _mail(language: str = "en", subject: str = "We saw it", *, full: bool = True) -> Rendered:
    return Rendered(
        b"", "<m@experts.test>", "", "A@b.test", subject, "", KIND, 1, language, 1, 1, AT,
        disclosure=Disclosure(full, "TLP:RED"),
    )  # fmt: skip


# -- what a writer is told --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("language", "text", "noted"),
    [
        ("ja", "We saw it.", True),
        ("ja", "確認しました。", False),
        ("ja", "Get-MgUser -Filter \"startswith(displayName,'a')\" を実行してください。", False),
        ("ja-JP", "We saw it.", True),
        ("ja", "", False),
        ("ja", "198.51.100.23, 2026-01-02", False),
        ("en", "We saw it.", False),
        ("en", "確認しました。", True),
        ("en", "The rule 経費精算 hides mail from your bank.", False),
        ("en-GB", "Café Müller", False),
        ("fr", "確認しました。", False),
    ],
)
def test_a_text_in_another_script_than_its_readers_language_is_noted(
    language: str, text: str, noted: bool
) -> None:
    notes = lint((_mail(),), {"a@b.test": language}, text)
    assert any("does not look like it" in note for note in notes) == noted


@pytest.mark.parametrize(
    ("mail", "note"),
    [
        (_mail(subject="s" * 78), None),
        (_mail(subject="s" * 79), "the subject has 79 characters; telephones show some 78"),
        (_mail(full=False), "to A@b.test: details left out: TLP:RED"),
        (_mail("ja"), "A@b.test reads en, and this kind of mail is in ja"),
    ],
)
def test_a_note_tells_what_to_look_at(mail: Rendered, note: str | None) -> None:
    assert lint((mail,), {"a@b.test": "en"}, "We saw it.") == (() if note is None else (note,))


def test_names_titles_and_choices_tell_no_language() -> None:
    assert (
        written_in(VARIABLES, {"title": "T", "text": "A", "steps": ("B", "C"), "place": "chat"}) == "A\nB\nC"
    )


def test_the_record_fills_in_what_it_knows_and_no_more() -> None:
    thread = Thread(
        1, ThreadKind.SERVICE, "SVC-000001", "Review", State.ACTIVE, None, Assignee.UNASSIGNED, 1, AT, AT
    )
    facts = facts_on_record(MailKind.MANAGED_RESPONSE, (), thread, Organisation(1, "Contoso"), ())
    assert facts == {"expert": UNNAMED, "organisation": "Contoso"}


def test_every_kind_takes_what_its_file_of_words_may_hold() -> None:
    """A type that nobody could type would make a kind that nobody can write."""
    for declared in load_templates().catalogue:
        if declared.kind in WRITTEN_KINDS:
            assert all(one.type is not VariableType.FINDINGS for one in declared.variables)
