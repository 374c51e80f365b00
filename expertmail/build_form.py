"""In which form the verifier is installed: as Python, or with its hot modules as machine code (setup.py)."""

from __future__ import annotations

from importlib.util import find_spec


def build_form() -> str:
    """Tell "machine code" or "Python"; the modules are not loaded for it."""
    spec = find_spec("verifier.evaluate")
    compiled = spec is not None and spec.origin is not None and not spec.origin.endswith(".py")
    return "machine code" if compiled else "Python"
