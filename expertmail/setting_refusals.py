"""What is wrong with given settings, as one sentence: which one, where it stands, what to do.

Pure: names and values come in, ``FaultError`` is raised. No value is ever shown, it may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from expertmail.faults import ExitCode, FaultError
from expertmail.setting_names import PREFIX

NESTED = "__"


def variable(name: str) -> str:
    """The environment variable of a dotted setting name."""
    return PREFIX + name.replace(".", NESTED).upper()


def _nearest(name: str, names: list[str]) -> str:
    """A hint at the nearest known name, or where all are listed."""
    found = get_close_matches(name, names, n=1, cutoff=0.5)
    last = name.rpartition(".")[2].lower()
    found = found or [n for n in names if n.rpartition(".")[2].lower() == last][:1]
    return f"did you mean {found[0]}?" if found else "docs/settings.md lists all of them."


def refuse_unknown(given: Mapping[str, Any], known: Mapping[str, FieldInfo], path: Path | None) -> None:
    """Refuse a name in the file that is no setting: a misspelt one must not be a silent default."""
    sections = {name.partition(".")[0] for name in known if "." in name}
    for name, value in given.items():
        if name in known:
            continue
        if name in sections:
            raise FaultError(
                f"{name} in {path} has to be a table of settings ([{name}]), not {_kind(value)}.",
                ExitCode.CONFIG,
            )
        raise FaultError(
            f"There is no setting {name} (in {path}); {_nearest(name, list(known))}", ExitCode.CONFIG
        )


def refuse_unknown_variables(given: Iterable[str], known: Mapping[str, FieldInfo]) -> frozenset[str]:
    """Refuse an EXPERTMAIL_ variable that is no setting; returns the names of those that are set."""
    names = {variable(name) for name in known}
    present = {name.upper() for name in given}
    for name in sorted(present - names):
        raise FaultError(
            f"There is no setting for the environment variable {name}; {_nearest(name, sorted(names))}",
            ExitCode.CONFIG,
        )
    return frozenset(present)


def _kind(value: object) -> str:
    """What a TOML value is, in plain words."""
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a table",
    }
    return kinds.get(type(value), "another kind of value")


def plain(
    error: ValidationError, known: Mapping[str, FieldInfo], variables: frozenset[str], path: Path | None
) -> str:
    """Turn pydantic's first complaint into a sentence; no value is shown, it may be a secret."""
    first = error.errors(include_url=False, include_context=True)[0]
    parts = [str(part) for part in first["loc"] if isinstance(part, str)]
    name = next(
        (n for end in range(len(parts), 0, -1) if (n := ".".join(parts[:end])) in known), ".".join(parts)
    )
    where = (
        f"the environment variable {variable(name)}" if variable(name) in variables else f"{name} in {path}"
    )
    context = first.get("ctx", {})
    wanted = {
        "int_parsing": "a whole number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_parsing": "a number",
        "float_type": "a number",
        "string_type": "text",
        "path_type": "a path",
        "tuple_type": "a list",
        "literal_error": f"one of {context.get('expected', '')}",
        "greater_than_equal": f"at least {context.get('ge')}",
        "less_than_equal": f"at most {context.get('le')}",
    }.get(first["type"])
    if wanted is not None:
        return f"The value of {where} cannot be used: it has to be {wanted}."
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"The value of {where} cannot be used: {message}."
