"""What Python's collector of cyclic garbage costs those who wait.

A full collection looks at every object there is and holds everything up meanwhile: some 110 ms with the hundred thousand
that modules and settings make. They stay to the end, so that looking at them again and again finds nothing.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 10_000
"""New objects before the young ones are looked at; Python's 700 are what a single message makes."""


def spare_what_stays() -> None:
    """Leave what there is now out of all later collections; look at young ones less often. Once a start is complete, before mail comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
