"""From the link that ``serve`` printed to a session with a second factor, in the browser."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select, update

from expertmail import serve_command
from expertmail.console.invitations import FIRST_LINK_FILE, new_link
from expertmail.console.one_time_codes import new_secret, sealed
from expertmail.console.passwords import hash_password
from tests.console.browsing import PHONE, Window
from tests.console.place import Answer, Place, now
from threads.access import Grant, Role
from threads.model.audit import content_of
from threads.schema import account_links, account_sessions, accounts
from threads.session import form_token
from threads.store.account_secrets import set_password, set_second_factor
from threads.store.accounts import add_account, any_account, find_account
from threads.store.audit import list_audit

PASSWORD = "correct horse battery"


def printed_link(place: Place) -> str:
    (link,) = re.findall(r"\S+/set-up/[0-9a-f]+", place.served.log.read_text())
    return str(link)


def sign_in(page, name: str, password: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def ready(place: Place, name: str, *roles: Role) -> None:
    """An account with a password."""
    with place.database.writing() as conn:
        if not any_account(conn):
            add_account(conn, "keeper", "", [Grant(Role.ADMIN, None)], now(), by="test")
        made = add_account(conn, name, name.title(), [Grant(one, None) for one in roles], now(), by="test")
        set_password(conn, made.id, hash_password(PASSWORD), now())


def test_from_the_printed_link_to_a_second_factor(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    link = printed_link(place)
    opened = window(size=PHONE, scheme="dark")
    page = opened.page
    page.goto(place.url)
    assert "set-up link" in page.inner_text("main")
    page.goto(link)
    assert opened.serious_faults(axe) == []
    for name, display, password, again, said in (
        ("mia.lang", "Mia Lang", "short", "short", "at least 12"),
        ("mia.lang", "Mia Lang", PASSWORD, PASSWORD + "x", "differ"),
        ("Mia Lang!", "Mia Lang", PASSWORD, PASSWORD, "An account's name"),
        ("mia.lang", "Mia Lang", "mia.lang-12345", "mia.lang-12345", None),
    ):
        page.get_by_label("Name to sign in with").fill(name)
        page.get_by_label("Your name").fill(display)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_label("Password again").fill(again)
        page.get_by_role("button", name="Make account").click()
        if said:
            assert said in page.get_by_role("alert").inner_text()
            assert page.get_by_label("Your name").input_value() == display
    assert page.get_by_role("link", name="Mia Lang").is_visible()
    page.goto(link)
    assert "was used" in page.inner_text("main")

    opened.go("/account")
    assert opened.serious_faults(axe) == []
    assert opened.wider_than_the_window() == ""
    page.get_by_role("link", name="Set it up").click()
    secret = page.inner_text("#secret").replace(" ", "")
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    assert "not right" in page.get_by_role("alert").inner_text()
    assert page.inner_text("#secret").replace(" ", "") == secret, "a mistyped code costs no new scan"
    page.get_by_label("Code").fill(pyotp.TOTP(secret).at(now() - timedelta(seconds=30)))
    page.get_by_role("button", name="Turn it on").click()
    codes = page.inner_text("#codes").split()
    assert len(set(codes)) == 10

    page.get_by_role("link", name="I have them").click()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "mia.lang", "mia.lang-12345")
    page.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Go on").click()
    assert page.get_by_role("button", name="Sign out").is_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "MIA.lang ", "mia.lang-12345")
    page.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Go on").click()
    assert "used before" in page.get_by_role("alert").inner_text(), "each code counts once"
    page.get_by_label("Code").fill(codes[3].upper().replace("-", " "))
    page.get_by_role("button", name="Go on").click()
    assert page.get_by_role("button", name="Sign out").is_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "mia.lang", "mia.lang-12345")
    page.get_by_label("Code").fill(codes[3])
    page.get_by_role("button", name="Go on").click()
    assert page.get_by_role("alert").is_visible()

    log = place.served.log.read_text().replace(link, "")
    for one in (secret, "mia.lang-12345", link.rpartition("/")[2], *codes):
        assert one not in log
    with place.database.reading() as conn:
        acts = [one.act for one in list_audit(conn)]
        row = conn.execute(select(accounts).where(accounts.c.name == "mia.lang")).one()
    assert {"account-added", "second-factor-on"} <= set(acts)
    assert secret.encode() not in row.totp_sealed


def test_without_scripts_somebody_comes_to_where_they_were_going(
    place: Place, window: Callable[..., Window]
) -> None:
    ready(place, "no.scripts", Role.CUSTOMER)
    page = window(scripts=False).page
    page.goto(f"{place.url}/account?x=1")
    sign_in(page, "no.scripts", PASSWORD)
    assert page.url == f"{place.url}/account?x=1"


def test_signing_in_makes_a_new_session_and_ends_the_old_one(place: Place) -> None:
    ready(place, "fixed", Role.CUSTOMER)
    planted = place.person(Role.ADMIN, name="planted")
    form = {"name": "fixed", "password": PASSWORD, "token": planted.token}
    answer = place.ask("POST", "/sign-in", form, headers={"Cookie": planted.cookie})
    cookie = answer.headers["set-cookie"]
    assert answer.status == 303
    assert planted.secret not in cookie
    assert place.ask("GET", "/account", person=planted).status == 303, "its session is over"


def test_cookies_are_for_this_site_and_no_script(place: Place) -> None:
    ready(place, "cookies", Role.CUSTOMER)
    answer = place.ask("POST", "/sign-in", {"name": "cookies", "password": PASSWORD})
    for cookie in answer.headers["set-cookie"].split(", expertmail"):
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))


def test_a_session_that_is_ended_elsewhere_is_over_here(place: Place, window: Callable[..., Window]) -> None:
    ready(place, "two.browsers", Role.CUSTOMER)
    here, there = window().page, window().page
    for page in (here, there):
        page.goto(f"{place.url}/account")
        sign_in(page, "two.browsers", PASSWORD)
    there.reload()
    there.get_by_role("button", name="End all others").click()
    assert "1 session ended" in there.get_by_role("status").inner_text()
    here.reload()
    assert "/sign-in" in here.url


@pytest.mark.parametrize("how", ["used", "over", "disabled", "unknown", "malformed"])
def test_a_link_that_does_not_count_says_one_thing(place: Place, how: str) -> None:
    with place.database.writing() as conn:
        if not any_account(conn):
            add_account(conn, "keeper", "", [Grant(Role.ADMIN, None)], now(), by="test")
        account = add_account(conn, f"link-{how}", "", [], now(), by="test")
        secret = new_link(conn, account.id, now(), by="test")
        if how == "used":
            conn.execute(update(account_links).values(used_at=now()))
        if how == "over":
            conn.execute(update(account_links).values(ends_at=now() - timedelta(seconds=1)))
        if how == "disabled":
            conn.execute(update(accounts).where(accounts.c.id == account.id).values(disabled_at=now()))
    path = {"unknown": "0" * 64, "malformed": "%00" * 5}.get(how, secret)
    for method in ("GET", "POST"):
        answer = place.ask(method, f"/set-up/{path}", {"password": PASSWORD, "again": PASSWORD})
        assert answer.status == 410
        assert "was used, or is over" in answer.text


def test_a_password_that_is_changed_ends_the_other_sessions(place: Place) -> None:
    ready(place, "changes", Role.CUSTOMER)
    one, other = (
        place.ask("POST", "/sign-in", {"name": "changes", "password": PASSWORD}).headers["set-cookie"]
        for _ in range(2)
    )
    with place.database.reading() as conn:
        account = find_account(conn, "changes")
        assert account is not None
        rows = conn.execute(
            select(account_sessions.c.id).where(
                account_sessions.c.account_id == account.id, account_sessions.c.ended_at.is_(None)
            )
        ).all()
    assert len(rows) == 2
    secret = one.partition("expertmail=")[2].partition(";")[0]
    form = {"token": form_token(secret), "old": "wrong", "password": PASSWORD + "!", "again": PASSWORD + "!"}
    cookie = {"Cookie": f"expertmail={secret}"}
    assert place.ask("POST", "/account/password", form, headers=cookie).status == 422
    assert place.ask("POST", "/account/password", {**form, "old": PASSWORD}, headers=cookie).status == 303
    assert place.ask("GET", "/account", headers=cookie).status == 200
    secret = other.partition("expertmail=")[2].partition(";")[0]
    assert place.ask("GET", "/account", headers={"Cookie": f"expertmail={secret}"}).status == 303


def test_a_thousand_tries_are_throttled_and_keep_nobody_out_who_was_here_before(place: Place) -> None:
    ready(place, "victim", Role.CUSTOMER)
    was_here = place.ask("POST", "/sign-in", {"name": "victim", "password": PASSWORD})
    known = re.search(r"expertmail-browser=([^;]+)", was_here.headers["set-cookie"])
    assert known is not None
    answers = [
        place.ask("POST", "/sign-in", {"name": "victim", "password": f"guess number {number}"}).status
        for number in range(1_000)
    ]
    assert answers.count(401) <= 12
    assert answers.count(401) + answers.count(429) == 1_000
    right = {"name": "victim", "password": PASSWORD}
    refused = place.ask("POST", "/sign-in", right)
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    cookie = {"Cookie": f"expertmail-browser={known[1]}"}
    assert place.ask("POST", "/sign-in", right, headers=cookie).status == 303
    assert place.ask("POST", "/sign-in", {**right, "name": "other"}, headers=cookie).status in (401, 429)


def cookie_of(answer: Answer) -> dict[str, str]:
    found = re.search(r"expertmail=([0-9a-f]{64})", answer.headers.get("set-cookie", ""))
    assert found is not None
    return {"Cookie": f"expertmail={found[1]}"}


def test_a_link_stands_for_the_password_and_not_for_the_second_factor(place: Place) -> None:
    ready(place, "lost", Role.CUSTOMER)
    with place.database.writing() as conn:
        account = find_account(conn, "lost")
        assert account is not None
        set_second_factor(conn, account.id, sealed(new_secret(), place.world.console_key, account.id))
        link = new_link(conn, account.id, now(), by="test")
    form = {"password": "a new long password", "again": "a new long password"}
    answer = place.ask("POST", f"/set-up/{link}", form)
    assert answer.headers["location"] == "/sign-in"
    assert "expertmail=" not in answer.headers.get("set-cookie", "")
    answer = place.ask("POST", "/sign-in", {"name": "lost", "password": "a new long password"})
    assert answer.headers["location"] == "/sign-in/code"
    assert "expertmail=" not in answer.headers["set-cookie"]


def test_a_page_that_asks_for_news_keeps_no_session_alive(place: Place) -> None:
    ready(place, "away", Role.CUSTOMER)
    cookie = cookie_of(place.ask("POST", "/sign-in", {"name": "away", "password": PASSWORD}))
    with place.database.writing() as conn:
        account = find_account(conn, "away")
        assert account is not None
        mine = account_sessions.c.account_id == account.id
        before = now() - timedelta(minutes=30)
        conn.execute(update(account_sessions).where(mine).values(seen_at=before))
    for headers, moved in (({"X-Live": "x"}, False), ({}, True)):
        assert place.ask("GET", "/account", headers={**cookie, **headers}).status == 200
        with place.database.reading() as conn:
            seen = conn.execute(select(account_sessions.c.seen_at).where(mine)).scalar_one()
        assert (seen > before + timedelta(minutes=1)) is moved


def test_whoever_sits_at_an_open_session_does_not_try_passwords_there(place: Place) -> None:
    ready(place, "open.desk", Role.CUSTOMER)
    cookie = cookie_of(place.ask("POST", "/sign-in", {"name": "open.desk", "password": PASSWORD}))
    token = form_token(cookie["Cookie"].partition("=")[2])
    good = {"password": "another long one", "again": "another long one", "token": token}
    tries = [
        place.ask("POST", "/account/password", {**good, "old": f"guess {n}"}, headers=cookie).status
        for n in range(30)
    ]
    assert tries.count(422) <= 6
    assert tries.count(429) >= 24
    refused = place.ask("POST", "/account/password", {**good, "old": "x"}, headers=cookie)
    assert 0 < int(refused.headers["retry-after"]) <= 900
    assert re.search(r"Wait [0-9]+ seconds?,", refused.text)


@pytest.mark.parametrize(
    "spelling",
    ["{mine:0>10}{rest}", "{mine:0>10}" + "0" * 5_000, "{mine:0>10}" + "9" * 20, "0{mine}"],
)
def test_nobody_ends_a_session_of_somebody_else_by_a_number_spelt_oddly(place: Place, spelling: str) -> None:
    people = [place.person(Role.CUSTOMER, name=f"spelt-{number}") for number in range(12)]
    with place.database.reading() as conn:
        rows = conn.execute(select(account_sessions.c.id, account_sessions.c.account_id)).all()
    numbers = {row.account_id: str(row.id) for row in rows}
    begins = [
        (one, other)
        for one in people
        for other in people
        if one is not other and numbers[other.account.id].startswith(numbers[one.account.id])
    ]
    one, other = begins[0] if begins else (people[0], people[1])
    mine = numbers[one.account.id]
    rest = numbers[other.account.id].removeprefix(mine)
    sent = spelling.format(mine=mine, rest=rest)
    assert place.ask("POST", "/account/sessions", {"session": sent}, person=one).status == 404
    assert place.ask("GET", "/account", person=one).status == 200
    assert place.ask("GET", "/account", person=other).status == 200


def test_ending_sessions_of_ones_own_is_on_the_audit_trail(place: Place) -> None:
    one = place.person(Role.CUSTOMER, name="ends.others")
    assert place.ask("POST", "/account/sessions", {"session": "others"}, person=one).status == 303
    with place.database.reading() as conn:
        contents = [row.content for row in list_audit(conn, act="sessions-ended")]
    assert content_of("ends.others", "ends.others", "0") in contents


def test_a_second_factor_in_force_is_not_replaced_without_the_password(place: Place) -> None:
    one = place.person(Role.CUSTOMER, name="has.factor")
    # Begun while there was none, sent after one was set up elsewhere.
    page = place.ask("GET", "/account/second-factor", person=one)
    shown = re.search(r'id="secret">([^<]+)<', page.text)
    kept = re.search(r"expertmail-second-factor=([^;]+)", page.headers["set-cookie"])
    assert shown is not None
    assert kept is not None
    kept_sealed = sealed(new_secret(), place.world.console_key, one.account.id)
    with place.database.writing() as conn:
        set_second_factor(conn, one.account.id, kept_sealed)
    assert place.ask("GET", "/account/second-factor", person=one).status == 409
    code = pyotp.TOTP(shown[1].replace(" ", "")).now()
    cookies = {"Cookie": f"{one.cookie}; expertmail-second-factor={kept[1]}"}
    answer = place.ask("POST", "/account/second-factor", {"code": code}, person=one, headers=cookies)
    assert answer.status == 409
    with place.database.reading() as conn:
        row = conn.execute(select(accounts).where(accounts.c.id == one.account.id)).one()
    assert row.totp_sealed == kept_sealed


def test_a_journal_gets_the_name_of_the_links_file_and_anybody_else_the_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = "http://127.0.0.1:8025/set-up/" + "0" * 64
    kept = tmp_path / FIRST_LINK_FILE
    out = os.fstat(1)
    monkeypatch.setenv("JOURNAL_STREAM", f"{out.st_dev}:{out.st_ino}")
    serve_command._announce_first_link(link, tmp_path)
    assert link not in (said := capsys.readouterr().out)
    assert str(kept) in said
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (f"{link}\n", 0o600)
    elsewhere = tmp_path / "elsewhere"
    kept.unlink()
    kept.symlink_to(elsewhere)
    serve_command._announce_first_link(link, tmp_path)
    assert not elsewhere.exists(), "nobody chooses where it is written"
    capsys.readouterr()
    serve_command._announce_first_link(None, tmp_path)
    assert not kept.exists(), "there is an account by now"
    assert capsys.readouterr().out == ""
    serve_command._announce_first_link(link, tmp_path / "nowhere")
    assert link not in capsys.readouterr().out
    for other in ("", "1", ":", "1:2", "x:y"):  # a terminal, a pipe, a file
        monkeypatch.setenv("JOURNAL_STREAM", other)
        serve_command._announce_first_link(link, tmp_path)
        assert link in capsys.readouterr().out
    assert not kept.exists()


def test_no_request_names_the_page_of_a_link(place: Place, window: Callable[..., Window]) -> None:
    place.person(Role.ADMIN)
    with place.database.writing() as conn:
        account = add_account(conn, "told.nobody", "", [], now(), by="test")
        secret = new_link(conn, account.id, now(), by="test")
    opened = window()
    referers: list[str] = []
    opened.context.on("request", lambda request: referers.append(request.all_headers().get("referer", "")))
    page = opened.page
    page.goto(f"{place.url}/set-up/{secret}")
    for again in (PASSWORD + "x", PASSWORD):
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password again").fill(again)
        page.get_by_role("button").click()
    page.get_by_role("button", name="Sign out").wait_for()
    assert len(referers) > 4
    assert not [one for one in referers if secret in one]
    for path in (f"/set-up/{secret}", "/sign-in/oidc/answer?code=x&state=y"):
        answer = place.ask("GET", path)
        assert answer.status in (403, 404, 410)
        assert answer.headers["referrer-policy"] == "strict-origin"


def test_a_browser_is_known_no_longer_when_the_password_is_another_one(place: Place) -> None:
    ready(place, "was.known", Role.CUSTOMER)

    def known(answer: Answer) -> str:
        found = re.search(r"expertmail-browser=[^;]+", answer.headers["set-cookie"])
        assert found is not None
        return found[0]

    right = {"name": "was.known", "password": PASSWORD}
    first = place.ask("POST", "/sign-in", right)
    new = {"password": "another long one", "again": "another long one", "old": PASSWORD}
    form = {**new, "token": form_token(cookie_of(first)["Cookie"].partition("=")[2])}
    changed = place.ask("POST", "/account/password", form, headers=cookie_of(first))
    assert changed.status == 303
    for number in range(12):
        place.ask("POST", "/sign-in", {"name": "was.known", "password": f"guess number {number}"})
    right["password"] = "another long one"
    assert place.ask("POST", "/sign-in", right, headers={"Cookie": known(first)}).status == 429
    assert place.ask("POST", "/sign-in", right, headers={"Cookie": known(changed)}).status == 303


def test_a_failed_sign_in_names_an_account_and_nothing_that_was_typed(place: Place) -> None:
    ready(place, "named.in.log", Role.CUSTOMER)
    place.ask("POST", "/sign-in", {"name": " Named.in.Log", "password": "typed-as-password"})
    place.ask("POST", "/sign-in", {"name": "typed-as-a-name", "password": PASSWORD})
    log = place.served.log.read_text()
    (line,) = [line for line in log.splitlines() if "named.in.log" in line]
    assert "sign-in failed" in line
    assert "typed-as" not in log


def test_who_signs_in_elsewhere_is_offered_no_second_factor(place: Place) -> None:
    one = place.person(Role.CUSTOMER, name="elsewhere")
    with place.database.writing() as conn:
        conn.execute(update(accounts).where(accounts.c.id == one.account.id).values(password_hash=None))
    told = place.ask("GET", "/account", person=one).text
    assert "/account/second-factor" not in told
    assert "you sign in elsewhere" in told
    for method in ("GET", "POST"):
        assert place.ask(method, "/account/second-factor", {"code": "1"}, person=one).status == 409
