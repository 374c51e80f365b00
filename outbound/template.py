"""Template folders: what a mail of each kind says, and which variables it takes. Pure.

A kind is a folder: ``template.toml`` declares version, languages and variables, ``LANGUAGE/`` holds
``subject.txt``, ``body.txt`` and ``body.html``. ``letter/LANGUAGE/`` is the frame around every body.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from outbound.errors import ComposeError
from outbound.header import is_control
from outbound.model import Finding, MailKind, Value

# Text lines are filled to this width (RFC 3676 4.2 recommends no more than 78 with room for quoting).
_WIDTH = 72
DEFAULT_LANGUAGE = "en"
# A number that automatic mail states.
_MAX_COUNT = 1_000_000
_LINK = re.compile(r"(?:\b(?:https?|ftp)://|\bwww\.)[^\s/?#<>\"]*", re.IGNORECASE)


class VariableType(StrEnum):
    """What a template variable holds."""

    LINE = "line"  # one line
    TEXT = "text"  # several lines
    LINES = "lines"  # a list, each item one line
    COUNT = "count"
    FINDINGS = "findings"


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable. ``max`` is in characters, ``count`` in items; ``clean`` repairs what others refuse."""

    name: str
    type: VariableType
    max: int = 1_000
    count: int = 1
    clean: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A kind in one language, ready to render."""

    kind: MailKind
    version: int
    language: str
    subject_max: int
    variables: tuple[Variable, ...]
    subject: jinja2.Template
    text: jinja2.Template
    html: jinja2.Template


class TemplateSet:
    """All template folders. Made of the files' texts by their path below ``templates``."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._environment = _environment(files)
        self._declared = {kind: _declaration(kind, files) for kind in MailKind if kind.templated}

    def get(self, kind: MailKind, language: str) -> Template:
        """The template in that language, or else in its base language, or else in English."""
        version, languages, subject_max, variables = self._declared[kind]
        wanted = (language.lower(), language.lower().partition("-")[0], DEFAULT_LANGUAGE)
        chosen = next((one for one in wanted if one in languages), DEFAULT_LANGUAGE)
        try:
            subject, text, html = (
                self._environment.get_template(f"{kind.value}/{chosen}/{file}")
                for file in ("subject.txt", "body.txt", "body.html")
            )
        except jinja2.TemplateError as error:
            raise ComposeError(f"The template {kind.value} ({chosen}) cannot be used: {error}.") from error
        return Template(kind, version, chosen, subject_max, variables, subject, text, html)


def _environment(files: Mapping[str, str]) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.DictLoader(dict(files)),
        undefined=jinja2.StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html"),
        keep_trailing_newline=False,
    )
    environment.filters.update(wrapped=wrapped, numbered=numbered, paragraphs=paragraphs, defanged=defanged)
    return environment


def _declaration(
    kind: MailKind, files: Mapping[str, str]
) -> tuple[int, tuple[str, ...], int, tuple[Variable, ...]]:
    try:
        table = tomllib.loads(files[f"{kind.value}/template.toml"])
        variables = tuple(
            Variable(
                name,
                VariableType(spec["type"]),
                int(spec.get("max", 1_000)),
                int(spec.get("count", 1)),
                bool(spec.get("clean", False)),
            )
            for name, spec in table.get("variables", {}).items()
        )
        return int(table["version"]), tuple(table["languages"]), int(table["subject_max"]), variables
    except (KeyError, TypeError, ValueError) as error:
        raise ComposeError(f"The template folder {kind.value} is not complete: {error}.") from error


def checked_values(
    template: Template, given: Mapping[str, Value], link_hosts: frozenset[str]
) -> Mapping[str, Value]:
    """The variables as the template declares them; ComposeError for one that is missing, unknown or unfit."""
    declared = {variable.name: variable for variable in template.variables}
    if missing := [name for name in declared if name not in given]:
        raise ComposeError(f"The {template.kind.value} mail needs {missing[0]!r}.")
    if strange := [name for name in given if name not in declared]:
        raise ComposeError(f"The {template.kind.value} mail has no place for {strange[0][:40]!r}.")
    return MappingProxyType(
        {name: _checked(variable, given[name], link_hosts) for name, variable in declared.items()}
    )


def _checked(variable: Variable, value: Value, hosts: frozenset[str]) -> Value:
    name = variable.name
    match variable.type:
        case VariableType.COUNT:
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_COUNT:
                raise ComposeError(f"{name!r} has to be a count.")
            return value
        case VariableType.FINDINGS:
            if not isinstance(value, tuple) or not all(isinstance(item, Finding) for item in value):
                raise ComposeError(f"{name!r} has to be a list of findings.")
            return value
        case VariableType.LINES:
            if not isinstance(value, tuple) or not value:
                raise ComposeError(f"{name!r} has to be a list with at least one item.")
            if len(value) > variable.count:
                raise ComposeError(f"{name!r} holds more than {variable.count} items.")
            return tuple(_line(variable, item, hosts) for item in value)
        case VariableType.LINE:
            return _line(variable, value, hosts)
        case VariableType.TEXT:
            return _text(variable, value, hosts)


def _line(variable: Variable, value: object, hosts: frozenset[str]) -> str:
    if not isinstance(value, str):
        raise ComposeError(f"{variable.name!r} has to be text.")
    if variable.clean:
        value = " ".join("".join(" " if is_control(c) else c for c in value).split())
        value = _LINK.sub(lambda found: defanged(found[0]), value)
        value = value if len(value) <= variable.max else value[: variable.max - 3].rstrip() + "..."
    elif any(map(is_control, value)):
        raise ComposeError(
            f"{variable.name!r} holds a line break or a control character; write it on one line."
        )
    return _bounded(variable, value.strip(), hosts)


def _text(variable: Variable, value: object, hosts: frozenset[str]) -> str:
    if not isinstance(value, str):
        raise ComposeError(f"{variable.name!r} has to be text.")
    value = value.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    if any(is_control(character) for character in value if character != "\n"):
        raise ComposeError(f"{variable.name!r} holds a control character; remove it.")
    return _bounded(variable, value.strip(), hosts)


def _bounded(variable: Variable, value: str, hosts: frozenset[str]) -> str:
    if not value:
        raise ComposeError(f"{variable.name!r} is empty.")
    if len(value) > variable.max:
        raise ComposeError(f"{variable.name!r} is longer than {variable.max} characters.")
    for host in hosts_in(value):
        if host not in hosts:
            raise ComposeError(
                f"{variable.name!r} links to {host[:80]!r}; our mail links to configured hosts only,"
                " so write it defanged (hxxps://example[.]com)."
            )
    return value


def hosts_in(text: str) -> frozenset[str]:
    """The hosts that links in a text lead to."""
    return frozenset(
        found[0].rpartition("/")[2].rpartition("@")[2].partition(":")[0].rstrip(".,;)]}").lower()
        for found in _LINK.finditer(text)
    )


def wrapped(text: str) -> str:
    """Fill each line of text to the width; a long word is never broken."""
    return "\n".join(_fill(line, "", "") for line in str(text).split("\n"))


def numbered(number: str, text: str) -> str:
    """One item of a list with a hanging indent."""
    return _fill(str(text), number, " " * len(number))


def _fill(line: str, first: str, rest: str) -> str:
    return textwrap.fill(
        line,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def paragraphs(text: str) -> Markup:
    """Text as HTML paragraphs: everything escaped, line ends kept."""
    blocks = re.split(r"\n{2,}", str(text))
    return Markup("\n").join(
        Markup("<p>{}</p>").format(Markup("<br>\n").join(escape(line) for line in block.split("\n")))
        for block in blocks
    )


def defanged(domain: str) -> str:
    """A domain or link that no mail program turns into something to click on."""
    text = str(domain).replace("://", "[:]//").replace(".", "[.]")
    return re.sub(r"^http", "hxxp", text, flags=re.IGNORECASE)


def render_text(template: jinja2.Template, values: Mapping[str, Any]) -> str:
    """Run one template; ComposeError for anything that goes wrong in it."""
    try:
        return template.render(values)
    except (jinja2.TemplateError, TypeError, ValueError, OverflowError) as error:
        raise ComposeError(f"The template {template.name} cannot be filled in: {error}.") from error


def render_block(template: jinja2.Template, block: str, values: Mapping[str, Any]) -> str:
    """Run one block of a template alone."""
    try:
        return "".join(template.blocks[block](template.new_context(dict(values))))
    except (jinja2.TemplateError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ComposeError(f"The template {template.name} cannot be filled in: {error}.") from error
