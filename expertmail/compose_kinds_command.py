"""``expertmail compose kinds``: the catalogue of our mail, and what fills each kind."""

from __future__ import annotations

import typer

from expertmail.desk import AsJson
from expertmail.tables import say, show_json, show_table
from outbound.template import Declaration
from outbound.template_files import load_templates
from outbound.variables import Variable, described


def register(app: typer.Typer) -> None:
    """Put the command on the ``compose`` app."""
    app.command()(kinds)


def kinds(as_json: AsJson = False) -> None:
    """List every kind of mail: version of its words, languages, and the variables that fill it."""
    catalogue = load_templates().catalogue
    if as_json:
        show_json([_told(one) for one in catalogue])
        return
    show_table(
        ("kind", "version", "languages", "sent", "variables"),
        (
            (
                one.kind.value,
                str(one.version),
                " ".join(one.languages),
                "automatically" if one.kind.automatic else "by an expert",
                ", ".join(map(_said, one.variables)),
            )
            for one in catalogue
        ),
        "There is no kind of mail.",
    )
    say("* may be left out")


def _said(variable: Variable) -> str:
    return f"{variable.name}{'*' if variable.optional else ''} ({described(variable)})"


def _told(one: Declaration) -> dict[str, object]:
    return {
        "kind": one.kind.value,
        "version": one.version,
        "languages": list(one.languages),
        "automatic": one.kind.automatic,
        "one_of": list(one.one_of),
        "variables": [
            {
                "name": variable.name,
                "type": variable.type.value,
                "optional": variable.optional,
                "options": list(variable.options),
                "max": variable.max,
                "count": variable.count,
                "source": variable.source.value,
            }
            for variable in one.variables
        ],
    }
