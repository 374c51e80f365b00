"""Single sign-on: with a real provider in the real browser, and with one that lies."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from expertmail.console import oidc
from expertmail.console.oidc import Client, OidcRefused, begin, finish
from tests.console.browsing import Window
from tests.console.place import Place, make_place, now
from tests.proofs.served import Served, free_port
from threads.access import Grant, Role
from threads.store.accounts import add_account, disable_account, find_account

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "bench" / "node_modules" / "node" / "bin" / "node"
SECRET = "canary-client-secret"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if not (ROOT / "bench" / "node_modules" / "oidc-provider").is_dir() or not NODE.exists():
        pytest.skip("oidc-provider is not installed (npm, see .ci/run)")
    started: list[subprocess.Popen[str]] = []

    def prepare(served: Served) -> None:
        port = free_port()
        served.environment |= {
            "EXPERTMAIL_CONSOLE__OIDC_ISSUER": f"http://127.0.0.1:{port}",
            "EXPERTMAIL_CONSOLE__OIDC_CLIENT_ID": "console",
            "EXPERTMAIL_CONSOLE__OIDC_CLIENT_SECRET": SECRET,
            "EXPERTMAIL_CONSOLE__OIDC_NAME": "Sign in with Example",
            "EXPERTMAIL_CONSOLE__OIDC_ROLES": "soc-experts: expert, contoso-sec: analyst@Contoso",
        }
        redirect = f"http://127.0.0.1:{served.console_port}/sign-in/oidc/answer"
        command = [str(NODE), str(Path(__file__).with_name("oidc_provider.mjs")), str(port), redirect]
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
        assert started[0].stdout is not None
        assert started[0].stdout.readline().strip() == "ready"

    made = make_place(tmp_path_factory.mktemp("oidc"), prepare=prepare)
    with made.database.writing() as conn:
        add_account(conn, "keeper", "", [Grant(Role.ADMIN, None)], now(), by="test")
    yield made
    made.database.close()
    made.served.stop()
    started[0].kill()
    started[0].communicate()


def signed_in(opened: Window, who: str) -> None:
    """Go there, say who one is, and come back."""
    opened.strange.clear()
    page = opened.page
    page.goto(f"{opened.url}/account")
    page.get_by_role("link", name="Sign in with Example").click()
    page.fill("input[name=login]", who)
    page.fill("input[name=password]", "x")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(f"{opened.url}/**")
    opened.strange.clear()  # another site was asked, and meant to be


def test_who_has_a_role_there_gets_an_account_with_it(place: Place, window: Callable[..., Window]) -> None:
    opened = window()
    signed_in(opened, "mia")
    assert opened.page.url == f"{place.url}/account", "back to where one was going"
    assert "expert for all customers" in opened.page.inner_text("main")
    with place.database.reading() as conn:
        account = find_account(conn, "mia.lang")
    assert account is not None
    assert account.grants == {Grant(Role.EXPERT, None)}
    assert account.address == "mia@experts.test"


def test_roles_follow_the_provider_and_a_disabled_account_stays_out(
    place: Place, window: Callable[..., Window]
) -> None:
    opened = window()
    signed_in(opened, "ben")
    with place.database.writing() as conn:
        account = find_account(conn, "ben")
        assert account is not None
        assert account.grants == {Grant(Role.ANALYST, place.contoso.id)}
        disable_account(conn, account.id, now(), by="test")
    other = window()
    signed_in(other, "ben")
    assert "no account here" in other.page.inner_text("main")


def test_who_has_no_role_there_has_no_account_here(place: Place, window: Callable[..., Window]) -> None:
    opened = window()
    signed_in(opened, "eve")
    assert "no account here" in opened.page.inner_text("main")
    with place.database.reading() as conn:
        assert find_account(conn, "eve") is None


def test_an_answer_that_nobody_began_here_is_refused(place: Place) -> None:
    begun = place.ask("GET", "/sign-in/oidc")
    cookie = re.search(r"expertmail-oidc=([^;]+)", begun.headers["set-cookie"])
    assert cookie is not None
    state = re.search(r"state=([^&]+)", begun.headers["location"])
    assert state is not None
    assert "code_challenge_method=S256" in begun.headers["location"]
    mine = {"Cookie": f"expertmail-oidc={cookie[1]}"}
    for path, headers in (
        (f"?code=x&state={state[1]}", {}),
        ("?code=x&state=other", mine),
        (f"?state={state[1]}", mine),
        (f"?code=x&state={state[1]}", {"Cookie": "expertmail-oidc=forged"}),
        (f"?code=made-up&state={state[1]}", mine),
    ):
        answer = place.ask("GET", f"/sign-in/oidc/answer{path}", headers=headers)
        assert answer.status == 403, path
        assert "expertmail=" not in answer.headers.get("set-cookie", "").replace("expertmail-", "")
    assert SECRET not in place.served.log.read_text()


class Liar(BaseHTTPRequestHandler):
    """A provider whose answers a test chooses."""

    lies: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self) -> None:
        lie = self.lies[self.path]
        if callable(lie):
            lie(self)
            return
        body = json.dumps(lie).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


KEY = RSAKey.generate_key(2048, {"kid": "a", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "b"})
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    issuer = f"http://127.0.0.1:{server.server_port}"
    Liar.lies = {
        "/.well-known/openid-configuration": {
            "issuer": issuer, "authorization_endpoint": f"{issuer}/auth", "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
        },
        "/keys": KeySet([KEY]).as_dict(private=False),
    }  # fmt: skip
    monkeypatch.setattr(oidc, "_known", {})
    monkeypatch.setattr(oidc, "DEADLINE", 2.0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Client(issuer, "console", SECRET)
    server.shutdown()
    server.server_close()
    thread.join()


def token(client: Client, key: Any = KEY, header: dict[str, str] | None = None, **claims: Any) -> str:
    at = int(NOW.timestamp())
    said = {
        "iss": client.issuer,
        "aud": "console",
        "sub": "mia",
        "nonce": "n",
        "exp": at + 60,
        "iat": at,
        **claims,
    }
    return jwt.encode(
        header or {"alg": "RS256", "kid": "a"}, {k: v for k, v in said.items() if v is not None}, key
    )


def finished(client: Client, id_token: str) -> Any:
    Liar.lies["/token"] = {"access_token": "x", "token_type": "Bearer", "id_token": id_token}
    return finish(client, "http://127.0.0.1/x", code="c", nonce="n", verifier="v" * 43, now=NOW)


def unsigned(client: Client) -> str:
    head, body, _ = token(client).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    del head
    return f"{none}.{body}."


def test_a_token_that_is_right_is_taken(liar: Client) -> None:
    assert finished(liar, token(liar))["sub"] == "mia"
    assert begin(liar, "http://127.0.0.1/x").url.startswith(f"{liar.issuer}/auth?")


@pytest.mark.parametrize(
    "lie",
    [
        {"iss": "http://127.0.0.1:1"}, {"aud": "another"}, {"aud": ["console", "another"]}, {"nonce": "other"},
        {"nonce": None}, {"sub": None}, {"sub": ""}, {"sub": "x" * 300}, {"sub": 7}, {"exp": 1}, {"exp": None},
        {"exp": "soon"}, {"iat": 4_000_000_000}, {"iat": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_is_not_for_this_sign_in_is_refused(liar: Client, lie: dict[str, Any]) -> None:
    with pytest.raises(OidcRefused) as refused:
        finished(liar, token(liar, **lie))
    assert SECRET not in str(refused.value) + refused.value.why


def test_a_token_that_is_not_signed_by_the_issuer_is_refused(liar: Client) -> None:
    confused = OctKey.import_key(SECRET * 3)
    for one in (
        unsigned(liar),
        token(liar, OTHER),
        token(liar, OTHER, {"alg": "RS256", "kid": "b"}),
        token(liar, confused, {"alg": "HS256", "kid": "a"}),
        token(liar)[:-4],
        "x.y.z",
        "",
        "é",
    ):
        with pytest.raises(OidcRefused):
            finished(liar, one)


def test_a_new_key_is_asked_for(liar: Client) -> None:
    finished(liar, token(liar))
    Liar.lies["/keys"] = KeySet([KEY, OTHER]).as_dict(private=False)
    assert finished(liar, token(liar, OTHER, {"alg": "RS256", "kid": "b"}))["sub"] == "mia"


def redirects(handler: Liar) -> None:
    handler.send_response(302)
    handler.send_header("Location", f"http://127.0.0.1:{handler.server.server_port}/keys")
    handler.end_headers()


def is_huge(handler: Liar) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(1_000):
            handler.wfile.write(b" " * 100_000)
    except OSError:
        pass


def drips(handler: Liar) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(30):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.3)
    except OSError:
        pass


def is_no_json(handler: Liar) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"<html>")


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
@pytest.mark.parametrize(
    "lie",
    [redirects, is_huge, drips, is_no_json, [], {}],
    ids=["redirects", "huge", "drips", "html", "list", "empty"],
)
def test_an_answer_that_redirects_never_ends_or_is_none_is_refused_in_time(
    liar: Client, path: str, lie: Any
) -> None:
    good = token(liar)
    Liar.lies["/token"] = {"access_token": "x", "token_type": "Bearer", "id_token": good}
    Liar.lies[path] = lie
    begun = time.monotonic()
    with pytest.raises(OidcRefused):
        finish(liar, "http://127.0.0.1/x", code="c", nonce="n", verifier="v" * 43, now=NOW)
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("place_of", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_an_issuer_leads_to_no_unsafe_address(liar: Client, place_of: str) -> None:
    Liar.lies["/.well-known/openid-configuration"][place_of] = "http://elsewhere.test/x"
    with pytest.raises(OidcRefused):
        begin(liar, "http://127.0.0.1/x")


def test_a_client_shows_no_secret() -> None:
    assert SECRET not in repr(Client("https://x.test", "console", SECRET))
