"""``docs/settings.md``, made from the settings themselves: ``python -m expertmail.settings_table > docs/settings.md``."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from expertmail.route_settings import RouteRow
from expertmail.setting_refusals import variable
from expertmail.settings import Settings, fields, is_secret

_HEAD = """# Settings

<!-- Made by `python -m expertmail.settings_table > docs/settings.md`; a test keeps it up to date. -->

`expertmail` starts without any setting and then works on this machine only. Settings come from one TOML file
(`--config FILE`, or the file that `EXPERTMAIL_CONFIG` names) and from environment variables, which win.
A list in a variable is written with commas. Relative paths in the file are taken from the file's folder,
others from the folder in which you start.

A name that is no setting is refused, and so is a value of the wrong kind: a misspelt setting never becomes a
silent default. Secrets stand in environment variables or in a file that only you can read (mode 0600); a
settings file that holds one and is readable by others is refused.

    data_dir = "/var/lib/expertmail"
    hostname = "mx.experts.example"

    [mail]
    domains = ["experts.example"]
    reply_domain = "reply.experts.example"
    sender_address = "experts@experts.example"
    query_address = "query@experts.example"
    verify_address = "verify@experts.example"
    service_address = "service@experts.example"

    [smtp]
    host = "0.0.0.0"
    port = 25
    tls_certificate = "/etc/expertmail/chain.pem"
    tls_key = "/etc/expertmail/key.pem"

    [delivery]
    mode = "mx"
"""


_ROUTES = """
## [[routes.table]]

Rows are tried in their order. An action is `accept` (what is doubtful is then held as by default), `tag` (accepted and
marked: relayed mail gets `X-Expertmail-Flag: YES`), `hold`, `defer` (451) or `reject` (550); of several that apply the
strictest counts. An action that is not named is that of `[routes]` above.

    [[routes.table]]
    recipient = "*@customer.example"
    to = "relay"
    next_hop = "10.0.0.5:25"
    on_unproven = "tag"
    on_dmarc_fail = "hold"
    on_program = "reject"
"""


def markdown() -> str:
    """The whole document."""
    return "\n".join((_HEAD, *_tables(), *_rows())) + "\n"


def _tables() -> Iterator[str]:
    heading = None
    for name, info in fields():
        section = name.rpartition(".")[0]
        if section != heading:
            heading = section
            about = _about(section)
            yield f"\n## {f'[{section}]' if section else 'At the top'}\n\n{about}\n"
            yield "| setting | variable | kind | default | what it does, and why the default |"
            yield "|---|---|---|---|---|"
        text = (info.description or "").replace("|", "\\|")
        yield f"| `{name}` | `{variable(name)}` | {_kind(info)} | {_default(info)} | {text} |"


def _rows() -> Iterator[str]:
    """The columns of the table of routes."""
    yield _ROUTES
    yield "| in a row | kind | default | what it does |"
    yield "|---|---|---|---|"
    for name, info in RouteRow.model_fields.items():
        default = "to be said" if info.is_required() else _default(info)
        yield f"| `{name}` | {_word(info.annotation)} | {default} | {info.description} |"


def _about(section: str) -> str:
    if not section:
        return "What everything else stands on."
    annotation = Settings.model_fields[section].annotation
    return (annotation.__doc__ or "").strip() if annotation is not None else ""


def _kind(info: FieldInfo) -> str:
    if is_secret(info):
        return "secret"
    return _word(info.annotation)


def _word(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in typing.get_args(annotation))
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(_word(a) for a in typing.get_args(annotation) if a is not type(None))
    if origin is typing.Annotated:
        return _word(typing.get_args(annotation)[0])
    if origin is tuple:
        return "list"
    return {str: "text", int: "whole number", float: "number", Path: "path", SecretStr: "secret"}.get(
        annotation, "text"
    )


def _default(info: FieldInfo) -> str:
    value = info.default
    if value is None or value == ():
        return "unset"
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(markdown())
