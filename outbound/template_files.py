"""Reads the template folders that are installed with the package."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from outbound.template import TemplateSet


def load_templates() -> TemplateSet:
    """All templates of this installation; ComposeError if a folder is not complete."""
    texts: dict[str, str] = {}
    _read(files("outbound") / "templates", "", texts)
    return TemplateSet(texts)


def _read(folder: Traversable, prefix: str, texts: dict[str, str]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            _read(entry, f"{prefix}{entry.name}/", texts)
        elif entry.name.endswith((".toml", ".txt", ".html")):
            texts[prefix + entry.name] = entry.read_text(encoding="utf-8")
