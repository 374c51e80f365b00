"""What the gateway's tests share."""

from __future__ import annotations

import pytest

from outbound.key_files import generate_key
from outbound.sign import SigningKey


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """One RSA key that signs for every domain of the tests' zone."""
    return generate_key(tmp_path_factory.mktemp("keys") / "s1.pem")
