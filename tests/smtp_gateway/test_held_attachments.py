"""What is attached is listed with each message, and a route's rule for files holds, tells and refuses."""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from outbound.compose import Office, compose_automatic, stamp
from outbound.model import AutomaticOrder, Letterhead, MailKind, Sender
from outbound.sign import SigningKey
from outbound.template_files import load_templates
from smtp_gateway.route_policy import Action, RoutePolicy
from smtp_gateway.route_table import Row
from smtp_gateway.routes import RouteKind
from tests.smtp_gateway.scripted_hop import scripted_hop
from tests.smtp_gateway.test_relay_gateway import BOB, relaying
from tests.smtp_gateway.world import REPLIES, World, message, now, signed, whole_gateway
from threads import store
from threads.model import Contact, ContactKind, Disposition
from threads.store.attachments import files_of, messages_with, octets_of_file
from threads.store.expiry import due, expire
from verifier.message import read_message

PE = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + bytes(100)
HOLD = RoutePolicy(on_program=Action.HOLD, on_encrypted=Action.HOLD, on_macros=Action.HOLD)
REFUSE = RoutePolicy(on_program=Action.REJECT, on_encrypted=Action.REJECT, on_macros=Action.REJECT)


def zipped(name: str, *, encrypted: bool = False) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, b"content")
    data = made.getvalue()
    flag = data.find(b"PK\x01\x02") + 8
    return data[:flag] + b"\x01" + data[flag + 1 :] if encrypted else data


FILES = {
    "program": ("invoice.exe", PE),
    "program in an archive": ("invoice.zip", zipped("invoice.pdf.exe")),
    "encrypted archive": ("secret.zip", zipped("a.txt", encrypted=True)),
    "macros": ("a.docm", zipped("word/vbaProject.bin")),
}


def with_file(
    name: str = "notes.pdf",
    content: bytes = b"%PDF-1.7\n",
    *,
    author: str = "Alex <alex@contoso.test>",
    extra: str = "",
    message_id: str = "<m1@contoso.test>",
) -> bytes:
    mail = EmailMessage()
    mail.set_content("See attached.\n")
    mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    body = mail.as_bytes().replace(b"\n", b"\r\n")
    head = message("", author=author, extra=extra, message_id=message_id)
    return head.removesuffix(b"\r\n") + body


def files(world: World, copy_id: str) -> tuple:
    with world.database.reading() as conn:
        return files_of(conn, copy_id)


def listed(world: World) -> int:
    with world.database.reading() as conn:
        return conn.exec_driver_sql("SELECT count(*) FROM attachments").scalar_one()


def test_each_attached_file_is_on_record_by_name_type_size_and_hash(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(with_file("../invoice\u202efdp.exe", PE), key)
            first = await world.send(raw, "query@experts.test")
            await world.send(raw, ["query@experts.test", REPLIES.mint(world.incident.id, world.alex.id)])
            copy_id = first.split()[-1]
            (file,) = files(world, copy_id)
            assert (file.name, file.size) == ("invoicefdp.exe", len(PE))
            assert file.flags == ("executable", "bidi-name")
            assert listed(world) == 1  # however often the same message comes, and for however many recipients
            with world.database.reading() as conn:
                assert octets_of_file(conn, copy_id, 1) == PE
                with pytest.raises(store.UnknownRecord, match="no attachment 2"):
                    octets_of_file(conn, copy_id, 2)
                assert {seen.copy_id for seen in messages_with(conn, file.sha256.upper())} == {
                    copy.id for copy in world.copies()
                }

    asyncio.run(scenario())


def test_a_message_without_files_and_a_large_one_with_many_are_both_listed(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            await world.send(signed(message(), key), "query@experts.test")
            assert listed(world) == 0
            mail = EmailMessage()
            mail.set_content("many\n")
            for number in range(40):
                mail.add_attachment(bytes([number]) * 100_000, maintype="image", subtype="png", filename=f"{number}.png")
            raw = message("", message_id="<m2@contoso.test>").removesuffix(b"\r\n")
            raw += mail.as_bytes().replace(b"\n", b"\r\n")
            copy_id = (await world.send(signed(raw, key), "query@experts.test")).split()[-1]
            found = files(world, copy_id)
            assert [file.name for file in found] == [f"{number}.png" for number in range(40)]
            assert {file.size for file in found} == {100_000}
            assert len({file.sha256 for file in found}) == 40

    asyncio.run(scenario())


def test_mail_that_was_stored_before_there_were_lists_is_listed_from_its_bytes(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            copy_id = (await world.send(signed(with_file(), key), "query@experts.test")).split()[-1]
            before = files(world, copy_id)
            with world.database.writing() as conn:
                conn.exec_driver_sql("DELETE FROM attachments")
            assert files(world, copy_id) == before
            with world.database.reading() as conn, pytest.raises(store.UnknownRecord):
                files_of(conn, "nobody")

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", FILES)
def test_a_known_contacts_file_is_held_and_the_contact_is_told_once(
    tmp_path: Path, key: SigningKey, kind: str
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key, policy=HOLD, other_way=True) as world:
            raw = signed(with_file(*FILES[kind]), key)
            address = REPLIES.mint(world.incident.id, world.alex.id)
            assert (await world.send(raw, address)).startswith("250")
            assert (await world.send(raw, address)).startswith("250")
            (copy,) = world.copies()
            assert copy.disposition is Disposition.HELD
            assert copy.reason.startswith("an attached ")
            (order,) = world.orders()
            assert (order.kind, order.address) == ("attachment-held", "alex@contoso.test")
            assert (order.thread_id, order.params) == (world.incident.id, "{}")

    asyncio.run(scenario())


NOT_TOLD = {
    "a stranger": (with_file("x.exe", PE, author="x@stranger.test"), "x@stranger.test", "stranger.test"),
    "an unsigned copy of a contact": (with_file("x.exe", PE), "x@silent.test", None),
    "a robot": (with_file("x.exe", PE, extra="Auto-Submitted: auto-replied\r\n"), "alex@contoso.test", "contoso.test"),
    "a colleague who is no contact": (
        with_file("x.exe", PE, author="kim@contoso.test"), "kim@contoso.test", "contoso.test"
    ),
    "an ordinary file": (with_file(), "alex@contoso.test", "contoso.test"),
}  # fmt: skip


@pytest.mark.parametrize("who", NOT_TOLD)
def test_nobody_else_is_told_and_an_ordinary_file_is_not_held(tmp_path: Path, key: SigningKey, who: str) -> None:
    async def scenario() -> None:
        raw, mail_from, domain = NOT_TOLD[who]
        async with whole_gateway(tmp_path, key, policy=HOLD, other_way=True) as world:
            raw = raw if domain is None else signed(raw, key, domain)
            assert (await world.send(raw, "query@experts.test", mail_from)).startswith("250")
            (copy,) = world.copies()
            assert (copy.disposition is Disposition.FILED) == (who == "an ordinary file")
            assert [order.kind for order in world.orders()] == (
                ["acknowledgement"] if who == "an ordinary file" else []
            )

    asyncio.run(scenario())


def test_without_another_way_nobody_is_told_of_one(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key, policy=HOLD) as world:
            await world.send(signed(with_file("x.exe", PE), key), "query@experts.test")
            (copy,) = world.copies()
            assert copy.disposition is Disposition.HELD
            assert world.orders() == []

    asyncio.run(scenario())


def test_notes_are_capped_like_other_automatic_mail(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key, policy=HOLD, other_way=True) as world:
            for number in range(12):
                raw = with_file("x.exe", PE, message_id=f"<m{number}@contoso.test>")
                await world.send(signed(raw, key), "query@experts.test")
            assert [order.state for order in world.orders()] == ["ordered"] * 10 + ["capped"] * 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("kind", "word"),
    [("program", "Programs"), ("encrypted archive", "Encrypted files"), ("macros", "Documents with macros")],
)
def test_a_route_may_refuse_files_instead(tmp_path: Path, key: SigningKey, kind: str, word: str) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key, policy=REFUSE, other_way=True) as world:
            reply = await world.send(signed(with_file(*FILES[kind]), key), "query@experts.test")
            assert reply == f"550 5.7.1 {word} are not taken as attachments"
            assert world.copies() == ()
            assert world.orders() == []

    asyncio.run(scenario())


def test_the_verify_mailbox_takes_every_file_unless_its_own_row_says_otherwise(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        table = (Row("query@experts.test", RouteKind.QUERY, replace(HOLD, on_macros=Action.ACCEPT)),)
        async with whole_gateway(tmp_path, key, table=table, other_way=True) as world:
            raw = signed(with_file(*FILES["program"]), key)
            await world.send(raw, "verify@experts.test")
            await world.send(raw, "query@experts.test")
            await world.send(signed(with_file(*FILES["macros"], message_id="<m2@x.test>"), key), "query@experts.test")
            assert [copy.disposition for copy in reversed(world.copies())] == [
                Disposition.ANSWERED,
                Disposition.HELD,
                Disposition.FILED,
            ]

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", [HOLD, RoutePolicy()])
def test_relayed_mail_is_looked_into_where_its_route_has_a_rule_for_files(
    tmp_path: Path, key: SigningKey, policy: RoutePolicy
) -> None:
    async def scenario() -> None:
        async with scripted_hop() as hop, relaying(tmp_path, key, hop, policy, other_way=True) as world:
            reply = await world.send(signed(with_file(*FILES["encrypted archive"]), key), BOB)
            assert reply.startswith("250")
            held = [copy.disposition for copy in world.copies()] == [Disposition.HELD]
            assert held == (policy is HOLD)
            assert len(hop.taken) == (0 if held else 1)
            assert listed(world) == (1 if held else 0)

    asyncio.run(scenario())


def test_the_list_goes_with_the_bytes(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key, policy=HOLD) as world:
            await world.send(signed(with_file("x.exe", PE), key), "query@experts.test")
            assert listed(world) == 1
            later = now() + timedelta(days=40)
            with world.database.writing() as conn:
                assert len(expire(conn, due(conn, later), later, later, by="gateway")) == 1
            assert listed(world) == 0

    asyncio.run(scenario())


def test_the_note_names_the_other_way_and_holds_no_word_of_the_sender() -> None:
    channel = "the upload page https://upload.experts.test/ of your portal"
    letterhead = Letterhead(
        Sender("Defender Experts", "defender-experts@experts.test", "experts.test", "s1"),
        "Defender Experts",
        "verify@experts.test",
        "query@experts.test",
        "reply.experts.test",
        frozenset({"upload.experts.test"}),
        channel,
    )
    office = Office(letterhead, load_templates(), lambda _thread, _contact: "r@reply.experts.test")
    at = now()
    order = AutomaticOrder(MailKind.ATTACHMENT_HELD, None, 1, "alex@contoso.test", "k", at)
    alex = Contact(1, 1, "alex@contoso.test", "Alex", ContactKind.INCIDENT_NOTIFICATION)
    mail = compose_automatic(order, office=office, thread=None, contact=alex, one=stamp("t", "experts.test", at))
    assert mail.mail_from == ""
    assert "https://upload.experts.test/" in " ".join(mail.said.split())
    fields = {field.lower: field.value for field in read_message(mail.raw).fields}
    assert fields[b"subject"].strip() == b"Your message waits: please send such files another way"
    assert fields[b"auto-submitted"].strip() == b"auto-replied"
    assert b"Alex" not in mail.raw
