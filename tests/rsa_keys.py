"""RSA keys for tests: a few, made once, and each file of one checked once.

To find two primes takes a tenth of a second, and to see that they are primes a thirtieth, for each of thousands of worlds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import cycle
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

DIFFERENT: Final = 12
"""As many as no test needs at one time."""
_MAKE: Final = rsa.generate_private_key
_LOAD: Final = serialization.load_pem_private_key
_NUMBERS: Final = cycle(range(DIFFERENT))


@cache
def _made(_number: int) -> rsa.RSAPrivateKey:
    return _MAKE(public_exponent=65537, key_size=2048)


def _one(public_exponent: int, key_size: int, backend: Any = None) -> rsa.RSAPrivateKey:
    if (public_exponent, key_size) != (65537, 2048):
        return _MAKE(public_exponent, key_size, backend)
    return _made(next(_NUMBERS))


@cache
def _loaded(data: bytes, password: bytes | None) -> Any:
    return _LOAD(data, password)


@contextmanager
def few_rsa_keys() -> Iterator[None]:
    """Within the block keys of the usual kind are of these few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", _one)
        patch.setattr(serialization, "load_pem_private_key", _loaded)
        yield
