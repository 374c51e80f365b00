"""What lets somebody in, or signs, is in no log, on no page (but where it is shown once), in no repr, and not in the database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote

import pyotp
import pytest

from expertmail.console.pages.catalogue import PAGES
from expertmail.console.passwords import hash_password
from expertmail.settings import load
from expertmail.world import open_world
from tests.console.place import Answer, Person, Place, make_place, now
from tests.console.test_every_route import EXAMPLES
from threads.access import Grant, Role
from threads.session import form_token
from threads.store.account_secrets import set_password
from threads.store.accounts import add_account, find_account

PASSWORD, OTHER_PASSWORD, WRONG = "canary password one", "canary password two", "canary wrong guess"
CLIENT_SECRET = "canary-oidc-client-secret"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    def prepare(served) -> None:
        served.environment |= {
            "EXPERTMAIL_LOG__LEVEL": "debug",
            "EXPERTMAIL_CONSOLE__OIDC_ISSUER": "http://127.0.0.1:1",
            "EXPERTMAIL_CONSOLE__OIDC_CLIENT_ID": "console",
            "EXPERTMAIL_CONSOLE__OIDC_CLIENT_SECRET": CLIENT_SECRET,
        }

    made = make_place(tmp_path_factory.mktemp("canaries"), prepare=prepare)
    yield made
    made.database.close()
    made.served.stop()


def cookie_in(answer: Answer) -> str:
    found = re.search(r"expertmail=([0-9a-f]{64})", answer.headers.get("set-cookie", ""))
    assert found is not None
    return found[1]


def test_secrets_are_where_they_belong_and_nowhere_else(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    canaries: dict[str, str] = {
        "password": PASSWORD,
        "another password": OTHER_PASSWORD,
        "a wrong one": WRONG,
    }
    with place.database.writing() as conn:
        account = add_account(
            conn, "canary", "Canary", [Grant(role, None) for role in Role], now(), by="test"
        )
        set_password(conn, account.id, hash_password(PASSWORD), now())
    assert place.ask("POST", "/sign-in", {"name": "canary", "password": WRONG}).status == 401
    assert place.ask("POST", "/sign-in", {"name": WRONG, "password": WRONG}).status == 401
    secret = cookie_in(place.ask("POST", "/sign-in", {"name": "canary", "password": PASSWORD}))
    person = Person(account, secret)
    canaries |= {"session": secret}
    place.people["canary"] = place.looking = person

    page = place.ask("GET", "/account/second-factor", person=person)
    totp = re.search(r'id="secret">([^<]+)<', page.text)
    assert totp is not None
    canaries["second factor"] = totp[1].replace(" ", "")
    enrol = re.search(r"expertmail-second-factor=([^;]+)", page.headers["set-cookie"])
    assert enrol is not None
    cookies = {"Cookie": f"{person.cookie}; expertmail-second-factor={enrol[1]}"}
    assert canaries["second factor"] not in unquote(enrol[1])
    code = pyotp.TOTP(canaries["second factor"]).now()
    shown = place.ask(
        "POST", "/account/second-factor", {"code": code, "token": person.token}, headers=cookies
    )
    for number, one in enumerate(shown.text.partition('id="codes">')[2].partition("</pre>")[0].split()):
        canaries[f"recovery code {number}"] = one
    assert len([name for name in canaries if name.startswith("recovery")]) == 10

    made = place.ask("POST", "/tokens", {"name": "canary", "scope": "verify"}, person=person)
    token = re.search(r"em1_[0-9a-f]{16}_[0-9a-f]{64}", made.text)
    assert token is not None
    canaries["token"] = token[0].rpartition("_")[2]
    form = {"name": "invited", "role": "analyst"}
    link = re.search(r"/set-up/([0-9a-f]{64})", place.ask("POST", "/accounts", form, person=person).text)
    assert link is not None
    canaries["link"] = link[1]
    chosen = {"password": OTHER_PASSWORD, "again": OTHER_PASSWORD}
    assert place.ask("POST", f"/set-up/{link[1]}", chosen).status == 303
    assert place.ask("GET", f"/set-up/{link[1]}").status == 410
    place.ask("POST", f"/set-up/{link[1]}", chosen, headers={"Origin": "http://evil.test"})
    place.ask("GET", "/sign-in/oidc")
    var = place.served.folder / "var"
    canaries |= {
        "oidc client": CLIENT_SECRET,
        "reply addresses": (var / "reply.key").read_text().split()[0],
        "console": (var / "console.key").read_text().strip(),
        "DKIM key": next(iter((var / "keys").glob("*.pem"))).read_text().splitlines()[3],
    }

    pages = {}
    for one in PAGES:
        example = EXAMPLES[one.name]
        if one.method == "GET" and not example.off and one.name != "second-factor":
            path = example.path(place)
            pages[one.name] = place.ask("GET", path, person=person).text
    log = place.served.log.read_text()
    # The first account's link is printed for whoever starts the server; that one is not among these.
    stored = b"".join(path.read_bytes() for path in var.glob("expertmail.db*"))
    for name, value in {**monkeypatch_environment(place, monkeypatch)}.items():
        assert not any(canary in value for canary in canaries.values()), name
    for name, canary in canaries.items():
        assert canary not in log, f"{name} is in the log"
        assert canary.encode() not in stored, f"{name} is in the database"
        for title, text in pages.items():
            assert canary not in text, f"{name} is on the page {title}"
    with place.database.reading() as conn:
        assert "argon2" not in repr(find_account(conn, "canary"))
    assert form_token(secret) not in log
    assert json.dumps(canaries)  # all of them were found


def monkeypatch_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the objects that hold secrets say of themselves."""
    for name, value in place.served.environment.items():
        if name.startswith("EXPERTMAIL_"):
            monkeypatch.setenv(name, value)
    settings = load(place.served.config)
    world = open_world(settings)
    return {
        "settings": repr(settings), "world": repr(world), "replies": repr(world.replies), "key": repr(world.key),
        "person": repr(place.people["canary"].account),
    }  # fmt: skip
