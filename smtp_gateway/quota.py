"""A cap that many share."""

from __future__ import annotations


class Quota:
    """So many octets at one time, for all together."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self.taken = 0

    def take(self, octets: int) -> bool:
        """Count octets in; False, and nothing counted, where they would be too many."""
        if self.taken + octets > self._cap:
            return False
        self.taken += octets
        return True

    def give(self, octets: int) -> None:
        """Count them out."""
        self.taken -= octets
