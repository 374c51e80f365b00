"""How our environment variables are named, and whether there is any: known without loading what reads them."""

from __future__ import annotations

import os
from typing import Final

PREFIX: Final = "EXPERTMAIL_"
CONFIG_VARIABLE: Final = "EXPERTMAIL_CONFIG"  # names the file, where --config is not given


def any_is_set() -> bool:
    """Whether the environment holds a setting or names a settings file."""
    return any(name.upper().startswith(PREFIX) for name in os.environ)
