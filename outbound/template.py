"""Template folders: what a mail of each kind says, and which variables it takes. Pure.

A kind is a folder: ``template.toml`` declares version, languages and variables, ``LANGUAGE/`` holds
``subject.txt``, ``body.txt`` and ``body.html``. ``letter/shared/`` is the frame around every body, ``letter/LANGUAGE/``
its words.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from outbound.errors import ComposeError
from outbound.figure_text import figure, table_text
from outbound.line_fill import fill
from outbound.links import defanged
from outbound.model import MailKind, Value
from outbound.variables import Source, Variable, checked, declared

DEFAULT_LANGUAGE: Final = "en"
FILES: Final = ("subject.txt", "body.txt", "body.html")
"""What each folder holds in each language."""
REDUCED_FILES: Final = ("reduced_subject.txt", "reduced.txt", "reduced.html")
"""What the letter says in place of a mail whose details are left out (``outbound.disclosure``)."""
LETTER_FILES: Final = ("letter.txt", "letter.html", "words.txt", *REDUCED_FILES)
"""What the letter needs in each language."""

_FIELDS: Final = frozenset({"version", "languages", "subject_max", "variables", "one_of"})
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.ASCII)  # RFC 5646 2.1, lower case


@dataclass(frozen=True, slots=True)
class Declaration:
    """What ``template.toml`` says of a kind. Of the variables that ``one_of`` names, at least one has to be given."""

    kind: MailKind
    version: int
    languages: tuple[str, ...]
    subject_max: int
    variables: tuple[Variable, ...]
    one_of: tuple[str, ...] = ()

    @property
    def details(self) -> tuple[Variable, ...]:
        """What somebody wrote: left out of a mail that may not hold it."""
        return tuple(one for one in self.variables if one.source is not Source.OURS)


@dataclass(frozen=True, slots=True)
class Template:
    """A kind in one language, ready to render. ``reduced`` is what it says where its details are left out; None: it has none."""

    declaration: Declaration
    language: str
    subject: jinja2.Template
    text: jinja2.Template
    html: jinja2.Template
    reduced: Template | None = None

    @property
    def kind(self) -> MailKind:
        """What it is a template of."""
        return self.declaration.kind

    @property
    def version(self) -> int:
        """The number that goes up with each change of what is said."""
        return self.declaration.version

    @property
    def subject_max(self) -> int:
        """Longer subjects are shortened to so many characters."""
        return self.declaration.subject_max

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a caller gives."""
        return self.declaration.variables


class TemplateSet:
    """All template folders. Made of the files' texts by their path below ``templates``; ComposeError if one is missing."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._environment = _environment(files)
        self._declared = {kind: _declaration(kind, files) for kind in MailKind if kind.templated}

    @property
    def catalogue(self) -> tuple[Declaration, ...]:
        """What there is, in the order of the kinds."""
        return tuple(self._declared.values())

    def takes(self, kind: MailKind, name: str) -> bool:
        """Whether mail of that kind has a place for such a variable."""
        return any(one.name == name for one in self._declared[kind].variables)

    def figure_words(self, language: str = DEFAULT_LANGUAGE) -> Mapping[str, str]:
        """The words for figures (``outbound.figure_text``) as the mail of a service review has them."""
        chosen = (
            language if language in self._declared[MailKind.SERVICE_REVIEW].languages else DEFAULT_LANGUAGE
        )
        name = f"{MailKind.SERVICE_REVIEW.value}/{chosen}/figures.txt"
        words: dict[str, str] = getattr(self._environment.get_template(name).module, "words")  # noqa: B009 -- the module's names are the template's
        return words

    def get(self, kind: MailKind, language: str) -> Template:
        """The template in that language, or else in its base language, or else in English."""
        declaration = self._declared[kind]
        wanted = (language.lower(), language.lower().partition("-")[0], DEFAULT_LANGUAGE)
        chosen = next((one for one in wanted if one in declaration.languages), DEFAULT_LANGUAGE)
        try:
            subject, text, html = (
                self._environment.get_template(f"{kind.value}/{chosen}/{file}") for file in FILES
            )
            short_subject, short_text, short_html = (
                self._environment.get_template(f"letter/{chosen}/{file}") for file in REDUCED_FILES
            )
        except jinja2.TemplateError as error:
            raise ComposeError(f"The template {kind.value} ({chosen}) cannot be used: {error}.") from error
        whole = Template(declaration, chosen, subject, text, html)
        if not declaration.details:
            return whole
        if all(one.optional for one in declaration.details):  # it says what it is for without them
            return replace(whole, reduced=whole)
        return replace(whole, reduced=Template(declaration, chosen, short_subject, short_text, short_html))

    def holds_details(self, kind: MailKind) -> bool:
        """Whether mail of that kind holds what an expert, a portal or a customer wrote."""
        return bool(self._declared[kind].details)


def _environment(files: Mapping[str, str]) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.DictLoader(dict(files)),
        undefined=jinja2.StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html"),
        keep_trailing_newline=False,
        auto_reload=False,
    )
    environment.filters.update(
        wrapped=wrapped,
        numbered=numbered,
        paragraphs=paragraphs,
        defanged=defanged,
        figure=figure,
        table_text=table_text,
    )
    return environment


def _declaration(kind: MailKind, files: Mapping[str, str]) -> Declaration:
    path = f"{kind.value}/template.toml"
    if path not in files:
        raise ComposeError(f"The template folder {kind.value} has no template.toml.")
    try:
        declaration = _read(kind, tomllib.loads(files[path]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ComposeError(f"The template folder {kind.value} is not complete: {error}.") from error
    for language in declaration.languages:
        for file in (
            *(f"{kind.value}/{language}/{one}" for one in FILES),
            *(f"letter/{language}/{one}" for one in LETTER_FILES),
        ):
            if file not in files:
                raise ComposeError(
                    f"The {kind.value} mail is said to be there in {language!r}, but {file} is missing."
                )
    return declaration


def _read(kind: MailKind, table: Mapping[str, Any]) -> Declaration:
    if strange := sorted(set(table) - _FIELDS):
        raise ValueError(f"template.toml has a field {strange[0]!r} that means nothing")
    variables = tuple(declared(name, spec) for name, spec in table.get("variables", {}).items())
    told = [one.name for one in variables if one.source is Source.SENDER]
    if kind.automatic and told:
        # A robot that repeats what a stranger wrote is a way to send that stranger's words under our name.
        raise ValueError(f"it is automatic, and {told[0]!r} may hold what a sender wrote")
    languages = tuple(table["languages"])
    if DEFAULT_LANGUAGE not in languages or not all(map(_LANGUAGE.fullmatch, languages)):
        raise ValueError(f"its languages have to be codes, lower case, with {DEFAULT_LANGUAGE!r} among them")
    one_of = tuple(table.get("one_of", ()))
    if strange := [name for name in one_of if name not in {one.name for one in variables if one.optional}]:
        raise ValueError(f"{strange[0]!r} is in one_of and is no optional variable")
    return Declaration(kind, int(table["version"]), languages, int(table["subject_max"]), variables, one_of)


def checked_values(
    template: Template, given: Mapping[str, Value], link_hosts: frozenset[str]
) -> Mapping[str, Value]:
    """The variables as the template declares them; ComposeError for one that is missing, unknown or unfit."""
    declaration = template.declaration
    values = checked(declaration.variables, given, link_hosts, declaration.kind.value)
    if declaration.one_of and not any(values[name] for name in declaration.one_of):
        names = " or ".join(map(repr, declaration.one_of))
        raise ComposeError(f"The {declaration.kind.value} mail needs {names}.")
    return values


def wrapped(text: str) -> str:
    """Fill each line of text to the width; a long word is never broken."""
    return "\n".join(fill(line) for line in str(text).split("\n"))


def numbered(number: str, text: str) -> str:
    """One item of a list with a hanging indent."""
    return fill(str(text), number, " " * len(number))


def paragraphs(text: str) -> Markup:
    """Text as HTML paragraphs: everything escaped, line ends kept."""
    blocks = re.split(r"\n{2,}", str(text))
    return Markup("\n").join(
        Markup("<p>{}</p>").format(Markup("<br>\n").join(escape(line) for line in block.split("\n")))
        for block in blocks
    )


def render_text(template: jinja2.Template, values: Mapping[str, Any]) -> str:
    """Run one template; ComposeError for anything that goes wrong in it."""
    try:
        return template.render(values)
    except (jinja2.TemplateError, TypeError, ValueError, OverflowError) as error:
        raise ComposeError(f"The template {template.name} cannot be filled in: {error}.") from error
