"""OpenID Connect: people are signed in by somebody else (code flow with PKCE, RFC 7636; OpenID Connect Core 3.1).

Authlib speaks OAuth; what an ID token says is checked here against the issuer's published keys. Every request has a deadline and a
bound, and follows no redirect.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from expertmail.console.oidc_client import Begun, Client, OidcRefused

DEADLINE: Final = 10.0
"""Seconds for one request; a person waits."""
MAX_ANSWER: Final = 256 * 1024
"""Octets: a key set has a few thousand."""
KNOWN_FOR: Final = 3_600.0
"""Seconds that what an issuer publishes is believed; a key that is not in it is asked for anew."""
SKEW: Final = 60
"""Seconds that clocks differ (RFC 7519 4.1.4)."""
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")
"""Never "none", and none that a client secret verifies."""
MAX_SUBJECT: Final = 255  # OpenID Connect Core 2
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class _Published:
    authorize: str
    token: str
    keys: KeySet
    at: float


_known: dict[str, _Published] = {}
_lock = threading.Lock()


def begin(client: Client, answer_at: str) -> Begun:
    """Where to send the browser. Raises OidcRefused."""
    found = _published(client.issuer)
    state, nonce, verifier = (secrets.token_urlsafe(_BYTES) for _ in range(3))
    with _session(client, answer_at) as session:
        url, _ = session.create_authorization_url(
            found.authorize, state=state, nonce=nonce, code_verifier=verifier
        )
    return Begun(str(url), state, nonce, verifier)


def finish(
    client: Client, answer_at: str, *, code: str, nonce: str, verifier: str, now: datetime
) -> Mapping[str, Any]:
    """The claims of the person that the issuer signed in. Raises OidcRefused."""
    found = _published(client.issuer)
    try:
        with _session(client, answer_at) as session:
            told = session.fetch_token(
                found.token, code=code, code_verifier=verifier, timeout=DEADLINE, allow_redirects=False
            )
    except (AuthlibBaseError, requests.RequestException, ValueError) as error:
        raise _refused(f"token endpoint: {type(error).__name__}") from error
    token = told.get("id_token")
    if not isinstance(token, str):
        raise _refused("no ID token")
    return _claims(client, token, found, nonce, now)


def _claims(client: Client, token: str, found: _Published, nonce: str, now: datetime) -> Mapping[str, Any]:
    """What an ID token says, if it is the issuer's, for us, of this sign-in, and of now (Core 3.1.3.7)."""
    for anew in (False, True):
        keys = _published(client.issuer, anew=True).keys if anew else found.keys
        try:
            claims = dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
            break
        except (JoseError, ValueError, TypeError, KeyError) as error:
            if anew:  # with the keys of now, too
                raise _refused(f"ID token: {type(error).__name__}") from error
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    subject, ends, made = claims.get("sub"), claims.get("exp"), claims.get("iat")
    seconds = now.timestamp()
    wrong = {
        "issuer": claims.get("iss") != client.issuer,
        "audience": client.client_id not in several,
        "authorized party": len(several) > 1 and claims.get("azp") != client.client_id,
        "nonce": not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()),
        "subject": not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT,
        "end": not isinstance(ends, int | float) or ends + SKEW <= seconds,
        "time": not isinstance(made, int | float) or made - SKEW > seconds,
    }
    found_wrong = [name for name, is_wrong in wrong.items() if is_wrong]
    if found_wrong:
        raise _refused(f"ID token: {', '.join(found_wrong)}")
    return claims


def _published(issuer: str, *, anew: bool = False) -> _Published:
    """What an issuer publishes (OpenID Connect Discovery 4)."""
    with _lock:
        known = _known.get(issuer)
        if known is not None and not anew and time.monotonic() - known.at < KNOWN_FOR:
            return known
        with requests.Session() as session:
            _bound(session)
            table = _asked(session, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if table.get("issuer") != issuer:
                raise _refused("discovery names another issuer")
            places = [table.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
            if not all(isinstance(one, str) and _is_safe(one, issuer) for one in places):
                raise _refused("discovery names an unsafe address")
            authorize, token, jwks = map(str, places)
            try:
                keys = KeySet.import_key_set(_asked(session, jwks))  # type: ignore[arg-type]
            except (JoseError, ValueError, TypeError, KeyError) as error:
                raise _refused("its keys cannot be read") from error
        made = _known[issuer] = _Published(authorize, token, keys, time.monotonic())
        return made


def _asked(session: requests.Session, url: str) -> dict[str, Any]:
    try:
        answer = session.get(url, timeout=DEADLINE, allow_redirects=False)
        table = answer.json() if answer.status_code == 200 else None  # noqa: PLR2004
    except (requests.RequestException, ValueError) as error:
        raise _refused(f"{urlsplit(url).path}: {type(error).__name__}") from error
    if not isinstance(table, dict):
        raise _refused(f"{urlsplit(url).path} is no JSON object")
    return table


def _is_safe(url: str, issuer: str) -> bool:
    """By TLS; without it only where the issuer itself is on this machine."""
    return url.startswith("https://") or (issuer.startswith("http://") and url.startswith("http://127.0.0.1"))


def _session(client: Client, answer_at: str) -> Any:
    session = OAuth2Session(
        client.client_id,
        client.client_secret,
        scope="openid profile email",
        redirect_uri=answer_at,
        code_challenge_method="S256",
    )
    _bound(session)
    return session


def _bound(session: Any) -> None:
    session.trust_env = False  # no proxy and no password file of the machine's
    session.mount("https://", _Bounded())
    session.mount("http://", _Bounded())


class _Bounded(HTTPAdapter):
    """Reads an answer to its bound and its deadline, and no further."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """The answer, read."""
        begun = time.monotonic()
        answer = super().send(request, *args, **{**options, "stream": True, "timeout": DEADLINE})
        held = bytearray()
        try:
            # What is there at once: reading so many octets would wait for the last of them.
            while piece := answer.raw.read1(8_192, decode_content=True):
                held += piece
                if len(held) > MAX_ANSWER or time.monotonic() - begun > DEADLINE:
                    raise requests.RequestException("too large or too slow")
        except HTTPError as error:
            raise requests.RequestException("broken off") from error
        finally:
            answer.close()
        answer._content, answer._content_consumed = bytes(held), True  # noqa: SLF001 -- as if it had read it itself
        return answer


def _refused(why: str) -> OidcRefused:
    return OidcRefused("Signing in there did not work. Try again, or ask whoever runs the console.", why)
