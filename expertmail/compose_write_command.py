"""``expertmail compose write``: any mail of the catalogue that a person writes, by the words that fill it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from expertmail.compose_desk import Sight, write
from expertmail.compose_options import (
    BreakGlass,
    Key,
    Language,
    Outside,
    Preview,
    PreviewHtml,
    PreviewRaw,
    Recipients,
    SendAfter,
    SendBefore,
    Terms,
    TestTo,
    typed,
)
from expertmail.compose_words import (
    named_text,
    table_of,
    variable_named,
    words_in_table,
    words_of_file,
    words_typed,
    written_kind,
)
from expertmail.desk import AsJson, By, Config, open_desk
from expertmail.faults import ExitCode, FaultError
from outbound.errors import ComposeError
from outbound.model import MailKind, Value
from outbound.template import DEFAULT_LANGUAGE
from outbound.template_files import load_templates
from outbound.variables import Variable

MAX_FILE: Final = 1_000_000
"""Bytes of a file of words; the longest mail says a fraction of that."""
_SIGNATURES: Final = ("expert", "manager")
"""The variables that name the writer: ``--by``, unless they are given."""


def register(app: typer.Typer) -> None:
    """Put the command on the ``compose`` app."""
    app.command(name="write")(write_kind)


def write_kind(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="See: expertmail compose kinds.")],
    reference: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="The thread to write on, such as INC-000001; or give --org."),
    ] = None,
    *,
    to: Recipients,
    org: Annotated[
        str | None,
        typer.Option(
            metavar="CUSTOMER",
            help="In place of REF, on no thread: contact-added, test-notification and service-review.",
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A word of the mail; repeat a list's name for each item."
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="A word that a file holds; of a list, an item in each line."),
    ] = None,
    words: Annotated[
        Path | None, typer.Option(metavar="PATH", help="All words in one table: TOML, or JSON by its ending.")
    ] = None,
    outside: Outside = None,
    language: Language = "en",
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    send_after: SendAfter = None,
    send_before: SendBefore = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Write any kind of mail. What the record knows need not be said: title, severity, tasks, customer, role."""
    with typed():
        chosen = written_kind(kind)
    variables = load_templates().get(chosen, DEFAULT_LANGUAGE).variables
    said = _words(chosen, variables, given or (), file or (), words)
    if by is not None:
        said = {**{one.name: by for one in variables if one.name in _SIGNATURES}, **said}
    terms = Terms(outside, language, key, break_glass, test_to, send_after, send_before, by, org)
    sight = Sight(preview, preview_html, preview_raw)
    with open_desk(config) as desk:
        write(desk, terms.letter(chosen, reference or "", to, said), sight, as_json=as_json)


def _words(
    kind: MailKind,
    variables: Sequence[Variable],
    given: Sequence[str],
    files: Sequence[str],
    table: Path | None,
) -> Mapping[str, Value]:
    """The words of the table, and over them those of the options. Raises FaultError."""
    said: dict[str, Value] = {}
    if table is not None:
        text = _read(table)
        try:
            said |= words_in_table(kind, variables, table_of(text, as_json=table.suffix.lower() == ".json"))
        except ComposeError as error:
            raise FaultError(f"{table}: {error}", ExitCode.DATA) from error
    with typed():
        pairs = [named_text(one) for one in given]
        for name, path in map(named_text, files):
            variable = variable_named(kind, variables, name)
            pairs += [(name, item) for item in words_of_file(variable, _read(Path(path)))]
        return said | dict(words_typed(kind, variables, pairs))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
    except OSError as error:
        raise FaultError(f"{path} cannot be read ({error.strerror}).", ExitCode.NO_INPUT) from error
    if len(octets) > MAX_FILE:
        raise FaultError(f"{path} is longer than any mail of ours ({MAX_FILE} bytes).", ExitCode.DATA)
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FaultError(f"{path} is not UTF-8 text.", ExitCode.DATA) from error
