"""A whole rotation in the browser, before real DNS servers: made, published, seen, switched by a running server, and retired."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from sqlalchemy import update

from outbound.schema import attempts
from outbound.store.outbox import show_outbox
from outbound.store.outbox_pages import outbox_page
from tests.console.browsing import PHONE, Window
from tests.console.place import Place, make_place
from tests.expertmail.test_dns_check_command import Served as Answering
from tests.proofs.noting import until
from tests.proofs.served import Served
from threads.access import Role
from threads.store.audit import list_audit
from verifier.zone import read_zone
from verifier.zone_server import ZoneServer

PATH = "/identities/keys"


class Changing:
    """A zone that is changed while its server runs."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._now = read_zone(text)

    def add(self, lines: str) -> None:
        self.text += f"\n{lines}\n"
        self._now = read_zone(self.text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now, name)


class Dns:
    """Two resolvers of the settings, which know different things where one of them lags."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.zones = [Changing((folder / "var" / "zone.db").read_text()) for _ in range(2)]
        self.servers = [ZoneServer(one) for one in self.zones]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Dns:
    folder: Path = tmp_path_factory.mktemp("zone")
    Served(folder).run("dns", "show")  # a trial makes keys, and a zone that has them
    return Dns(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, dns: Dns) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("rotation")
    shutil.copytree(dns.folder / "var", folder / "var")
    (folder / "var" / "zone.db").unlink()
    with ExitStack() as stack:
        names = ", ".join(f'"{stack.enter_context(Answering(one))}"' for one in dns.servers)
        made = make_place(folder, f'[delivery]\nmode = "mx"\n[dns]\nresolvers = [{names}]\n')
        try:
            yield made
        finally:
            made.database.close()
            made.served.stop()


def key_files(place: Place) -> set[str]:
    return {path.name for path in (place.served.folder / "var" / "keys").glob("*.pem")}


def rotation(place: Place) -> Path:
    return place.served.folder / "var" / "keys" / "experts.test.rotation.json"


def private_texts(place: Place) -> list[str]:
    """What would give a private key away: lines of its file, and its numbers."""
    found = []
    for path in (place.served.folder / "var" / "keys").glob("*.pem"):
        found += [line for line in path.read_text().splitlines() if not line.startswith("-")]
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        numbers = getattr(key, "private_numbers", None)
        if numbers is not None:
            found += [f"{numbers().d:x}", str(numbers().p)]
    return found


def signed_by(place: Place) -> set[str]:
    """Selectors of a mail that the running server writes now."""
    sent = {
        "kind": "request-for-context", "incident": place.incident.reference, "to": place.alice.address,
        "w.opening": "We need your help.", "w.questions": ["Was it you?"], "w.expert": "Mia", "do": "send",
    }  # fmt: skip
    answer = place.ask("POST", "/compose", sent, person=place.person(Role.EXPERT))
    assert answer.status == 303, answer.text
    with place.database.reading() as conn:
        raw = show_outbox(conn, outbox_page(conn, None).items[0].outgoing_id).raw
    fields = re.findall(rb"^DKIM-Signature:(?:[^\r\n]|\r?\n[ \t])*", raw, re.MULTILINE)
    return {re.search(rb"[;\s]s=([^;\s]+)", field)[1].decode() for field in fields}  # type: ignore[index]


def a_year_passes(place: Place) -> None:
    """All that happened to the earlier keys happened a year earlier."""
    stand = json.loads(rotation(place).read_text())
    since = datetime.fromisoformat(stand["retiring"][0]["since"]) - timedelta(days=365)
    stand["retiring"][0]["since"] = since.isoformat()
    rotation(place).write_text(json.dumps(stand))
    with place.database.writing() as conn:
        conn.execute(update(attempts).values(finished_at=since))


def acts(place: Place) -> list[tuple[str, str]]:
    with place.database.reading() as conn:
        rows = [one for one in list_audit(conn) if one.act.startswith("keys-")][::-1]
    return [(one.act, one.content or "") for one in rows]


def test_a_whole_rotation_goes_through_the_page(
    place: Place, dns: Dns, window: Callable[..., Window], axe: str
) -> None:
    admin = window(place.person(Role.ADMIN, name="keeps.keys"), size=PHONE)
    page = admin.go("/identities")
    page.on("dialog", lambda dialog: dialog.accept())
    told: list[str] = []

    def look(said: str) -> str:
        """What the page says, which has nothing wrong for anybody, and no private key. DNS is asked before it answers."""
        page.locator("main", has_text=said).wait_for()
        assert admin.serious_faults(axe) == []
        assert admin.wider_than_the_window() == ""
        text = str(page.inner_text("main"))
        told.append(page.content())
        return text

    page.get_by_role("link", name="Let other keys sign").click()
    assert "s1" in look("nothing has to be in DNS for it")
    page.get_by_role("button", name="Make the next keys").click()
    look("Made: s2 and s2-ed25519")
    assert {"experts.test.s2.pem", "experts.test.s2-ed25519.pem"} <= key_files(place)
    lines = page.locator("#records").inner_text()
    assert lines.count("IN TXT") == 2

    page.get_by_role("button", name="Ask DNS who has them").click()
    look("Not everybody has them")
    assert page.get_by_text("not there", exact=True).count() == 4
    dns.zones[0].add(lines)  # the other one lags
    page.get_by_role("button", name="Ask DNS again, and let them sign").click()
    assert "not everybody" in page.get_by_role("alert").inner_text()
    look("not there")
    assert not json.loads(rotation(place).read_text())["retiring"], "nothing has changed"
    assert signed_by(place) == {"s1", "s1-ed25519"}

    dns.zones[1].add(lines)
    page.get_by_role("button", name="Ask DNS who has them").click()
    look("Everybody who was asked has them")
    page.get_by_role("button", name="Ask DNS again, and let them sign").click()
    look("is signed with s2 and s2-ed25519 from now on")
    until(
        lambda: "as soon as the server" not in place.ask("GET", PATH, person=place.people["keeps.keys"]).text
    )
    assert signed_by(place) == {"s2", "s2-ed25519"}, "the running server goes by it"

    admin.go(PATH)
    look("still wait to be sent")  # the mail that was written before
    assert page.get_by_role("button", name="Retire s1", exact=True).count() == 0
    number = min(int(one["outgoing_id"]) for one in place.served.json("outbox", "list"))
    place.ask("POST", f"/outbox/{number}/cancel", person=place.person(Role.EXPERT))
    admin.go(PATH)
    look("keep it until")
    a_year_passes(place)
    admin.go(PATH)
    look("may go")
    page.get_by_role("button", name="Retire s1", exact=True).click()
    text = look("Its private keys are gone")
    assert 's1._domainkey.experts.test. 3600 IN TXT "v=DKIM1; p="' in text
    assert not {"experts.test.s1.pem", "experts.test.s1-ed25519.pem"} & key_files(place)
    until(lambda: signed_by(place) == {"s2", "s2-ed25519"})

    assert [act for act, _ in acts(place)] == ["keys-made", "keys-sign", "keys-retired"]
    assert all('"keeps.keys"' in content for _, content in acts(place))
    private = private_texts(place)
    assert len(private) > 20
    assert not [one for one in private for html in told if one in html], "a private key never reaches a page"


def test_who_does_not_wait_says_why_and_that_is_kept(place: Place, window: Callable[..., Window]) -> None:
    admin = window(place.person(Role.ADMIN, name="in.a.hurry"), scripts=False)
    page = admin.go(PATH)
    before = len(acts(place))
    page.get_by_role("button", name="Make the next keys").click()
    signs = json.loads(rotation(place).read_text())["signs"][0]
    page.get_by_text("Do not wait for DNS").click()
    for path in ("sign", "retire"):
        form = {"pair": signs, "do": "force", "reason": " "}
        assert place.ask("POST", f"{PATH}/{path}", form, person=place.people["in.a.hurry"]).status == 422
    page.get_by_label("Why you do not wait").first.fill("it leaked <script>alert(1)</script>")
    page.get_by_role("button", name="Let them sign at once").click()
    assert "from now on" in page.get_by_role("status").inner_text()
    retiring = page.get_by_role("region", name=re.compile(f"^{signs} and "))
    retiring.get_by_text("Do not wait", exact=True).click()
    retiring.get_by_label("Why you do not wait").fill("it leaked")
    with page.expect_navigation():
        retiring.get_by_role("button", name=f"Retire {signs} at once").click()
    assert "Its private keys are gone" in page.inner_text("main")
    made, switched, gone = acts(place)[before:]
    assert (made[0], switched[0], gone[0]) == ("keys-made", "keys-sign", "keys-retired")
    assert "it leaked <script>" in switched[1]
    assert "not there" in switched[1], "who lacked what"
    assert "it leaked" in gone[1]


def test_what_was_shown_is_what_is_done(place: Place) -> None:
    admin = place.person(Role.ADMIN)
    stand = rotation(place).read_text() if rotation(place).exists() else ""
    for path, form in (
        ("sign", {}),
        ("sign", {"pair": "s99"}),
        ("sign", {"pair": "s99", "do": "force", "reason": "x"}),
        ("retire", {}),
        ("retire", {"pair": "s99"}),
        ("retire", {"pair": "../../x", "do": "force", "reason": "x"}),
    ):
        answer = place.ask("POST", f"{PATH}/{path}", form, person=admin)
        assert answer.status == 409, (path, form)
    assert (rotation(place).read_text() if rotation(place).exists() else "") == stand


def test_a_missing_private_key_is_told_and_made_again(place: Place) -> None:
    admin = place.person(Role.ADMIN)
    assert place.ask("POST", f"{PATH}/publish", person=admin).status == 303
    pair = json.loads(rotation(place).read_text())["next"]
    lost = place.served.folder / "var" / "keys" / f"experts.test.{pair[1]}.pem"
    lost.unlink()
    page = place.ask("GET", PATH, person=admin)
    assert page.status == 200
    assert "cannot be read" in page.text
    for form in ({"pair": pair[0]}, {"pair": pair[0], "do": "force", "reason": "x"}):
        assert place.ask("POST", f"{PATH}/sign", form, person=admin).status == 409
    assert place.ask("POST", f"{PATH}/publish", person=admin).status == 303
    assert lost.exists()


def test_only_who_keeps_identities_may_see_or_do_it(place: Place) -> None:
    for role in Role:
        if role is Role.ADMIN:
            continue
        assert place.ask("GET", PATH, person=place.person(role)).status == 403, role
        assert (
            "Let other keys sign</a>" not in place.ask("GET", "/identities", person=place.person(role)).text
        )
