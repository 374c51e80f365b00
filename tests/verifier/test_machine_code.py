"""The modules that setup.py compiles: all of them in one form, and in a compiled copy really as machine code."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_modules_that_are_compiled_exist_and_are_all_in_one_form() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text())
    named = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "MODULES"
    )
    origins = [
        find_spec(f"{room.replace('/', '.')}.{name}").origin
        for room, names in named.items()
        for name in names.split()
    ]
    assert all(Path(origin).is_relative_to(ROOT) for origin in origins)
    source = [origin for origin in origins if origin.endswith(".py")]
    compiled_copy = (ROOT / "build.log").exists()
    assert source == ([] if compiled_copy else origins)
