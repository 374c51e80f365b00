"""The public suffix list that is installed (package ``publicsuffixlist``), wrapped once. Reads a file.

Nothing is loaded before it is asked for: reading the list takes 0.1 s, and only DMARC by RFC 7489 needs it. Both parts of
the list count, the registries' and the private one: two customers of a hosting provider are two organisations.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from verifier.dmarc_7489 import PublicSuffixes

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_VERSION: Final = re.compile(rb"^// VERSION: ([0-9A-Za-z_.:-]{1,64})[ \t]*\r?$", re.MULTILINE)
_HEAD: Final = 4_096  # bytes in which the list says its version
_HASH_SHOWN: Final = 12  # hexadecimal digits: enough to tell all lists that were ever published apart


class _Organisations:
    """Organisational domains by a list (RFC 7489 3.2)."""

    def __init__(self, suffixes: PublicSuffixList) -> None:
        self._suffixes = suffixes

    def organisation(self, name: str) -> str:
        """The public suffix and one label more; the name itself where it is a suffix or no name.

        An unlisted top level is a public suffix, by the list's own default rule.
        """
        return self._suffixes.privatesuffix(name) or name


@lru_cache(maxsize=1)
def public_suffixes() -> PublicSuffixes:
    """The installed list, read once in a process. Raises OSError where its file cannot be read."""
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - see above

    data = _data()
    return PublicSuffixes(_version(data), _Organisations(PublicSuffixList(data)).organisation)


@lru_cache(maxsize=1)
def list_version() -> str:
    """The installed list's version as one word, its date and a part of its SHA-256; the list is not loaded for it."""
    return _version(_data())


def _version(data: bytes) -> str:
    said = _VERSION.search(data, 0, _HEAD)
    digest = hashlib.sha256(data).hexdigest()[:_HASH_SHOWN]
    return f"{said[1].decode('ascii') if said else 'undated'}+{digest}"


def _data() -> bytes:
    from publicsuffixlist import PSLFILE  # noqa: PLC0415 - see above

    return Path(PSLFILE).read_bytes()
