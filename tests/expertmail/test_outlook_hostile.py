"""Hostile .msg files: each gives one sentence, or a message with a note; no exception of a library, no endless work.

The files are made by ``outlook_writer`` and then broken: cut, overwritten, made to lie about sizes and to run in circles.
"""

from __future__ import annotations

import io
import random
import struct
import time
from collections.abc import Iterator

import pytest

from expertmail.faults import ExitCode, FaultError
from expertmail.message_notes import Note
from expertmail.outlook.container import MAX_ENTRIES
from expertmail.saved_messages import SavedMessage, load
from tests.expertmail.outlook_writer import compressed, container, embedding, message, storage
from threads.reading import read

WHOLE = container(
    message(
        {
            0x007D: "From: Defender Experts <d@experts.test>\r\nSubject: x\r\n\r\n",
            0x0037: "x",
            0x1000: "text " * 2_000,
            0x1013: b"<p>html</p>" * 50,
            0x1009: compressed(b"{\\rtf1 x}"),
            0x3FDE: 65001,
        },
        [{0x0C15: 1, 0x3001: "Ann", 0x3003: "ann@contoso.example"}] * 5,
        [
            {0x3705: 1, 0x3707: "a.eml", 0x3701: b"From: x@y.example\r\n\r\nx" * 300},
            embedding(message({0x1000: "inside"}, embedded=True)),
        ],
    )
)
SECTOR = 512
FAT_COUNT, DIRECTORY, MINI_FAT, MINI_FAT_COUNT, DIFAT, DIFAT_COUNT, FAT_PLACES = 44, 48, 60, 64, 68, 72, 76


def outcome(data: bytes) -> SavedMessage | str:
    """The message, or the fault's sentence; anything else that is raised fails the test."""
    try:
        (found,) = load("-", io.BytesIO(data))
    except FaultError as error:
        fault = error
    else:
        assert Note.REBUILT in found.notes
        assert found.raw in found.rebuilt
        read(found.raw)
        return found
    assert fault.code is ExitCode.NO_INPUT
    assert fault.sentence.startswith("- ")
    assert fault.sentence.endswith(".")
    assert "\n" not in fault.sentence
    return fault.sentence


def number(data: bytes, at: int) -> int:
    return struct.unpack_from("<I", data, at)[0]


def with_number(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + struct.pack("<I", value) + data[at + 4 :]


def fat_at(data: bytes) -> int:
    return (number(data, FAT_PLACES) + 1) * SECTOR


def directory_at(data: bytes) -> int:
    return (number(data, DIRECTORY) + 1) * SECTOR


def test_the_whole_file_is_read_without_a_note_of_damage() -> None:
    found = outcome(WHOLE)
    assert isinstance(found, SavedMessage)
    assert found.notes == (Note.REBUILT,)


def test_every_truncation_gives_a_sentence_or_a_note() -> None:
    for size in [*range(8, 1_600, 97), *range(1_600, len(WHOLE), 331)]:
        found = outcome(WHOLE[:size])
        assert isinstance(found, str) or Note.MSG_DAMAGED in found.notes, size


def circles() -> Iterator[tuple[str, bytes]]:
    """Chains of sectors and trees of entries that never end."""
    fat = fat_at(WHOLE)
    for sector in range(0, (len(WHOLE) // SECTOR) - 2, 3):
        yield f"FAT {sector} leads to itself", with_number(WHOLE, fat + 4 * sector, sector)
        yield f"FAT {sector} leads back", with_number(WHOLE, fat + 4 * sector, max(0, sector - 1))
    directory = directory_at(WHOLE)
    for entry in range(12):
        for link in (68, 72, 76):  # left, right, child
            for target in (0, entry, 1, 0x7FFFFFFF):
                yield (
                    f"entry {entry} at {link} leads to {target}",
                    with_number(WHOLE, directory + 128 * entry + link, target),
                )
    yield "FAT is its own", with_number(WHOLE, FAT_PLACES, 0)
    yield "mini FAT leads to the directory", with_number(WHOLE, MINI_FAT, number(WHOLE, DIRECTORY))


def sizes() -> Iterator[tuple[str, bytes]]:
    """Sizes and counts beyond the file."""
    huge = (0, 1, 0x10000, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF)
    for at in (FAT_COUNT, DIRECTORY, MINI_FAT, MINI_FAT_COUNT, DIFAT, DIFAT_COUNT, FAT_PLACES, 40):
        for value in huge:
            yield f"header {at} is {value}", with_number(WHOLE, at, value)
    for shift in (0, 1, 6, 9, 12, 31, 63, 0xFFFF):
        yield f"sector shift {shift}", WHOLE[:30] + struct.pack("<H", shift) + WHOLE[32:]
        yield f"mini sector shift {shift}", WHOLE[:32] + struct.pack("<H", shift) + WHOLE[34:]
    directory = directory_at(WHOLE)
    for entry in range(0, 60, 3):
        for value in huge:
            yield f"entry {entry} has {value} bytes", with_number(WHOLE, directory + 128 * entry + 120, value)
            yield f"entry {entry} starts at {value}", with_number(WHOLE, directory + 128 * entry + 116, value)
        for kind in (0, 1, 2, 5, 77):
            at = directory + 128 * entry + 66
            yield f"entry {entry} is of kind {kind}", WHOLE[:at] + bytes((kind,)) + WHOLE[at + 1 :]


@pytest.mark.parametrize("cases", [circles, sizes])
def test_circles_and_sizes_that_lie_end_soon(cases) -> None:
    for name, data in cases():
        started = time.perf_counter()
        outcome(data)
        assert time.perf_counter() - started < 5, name


def test_bytes_overwritten_by_chance_end_in_a_sentence_or_a_message() -> None:
    chance = random.Random(2026)
    metadata = [*range(24, SECTOR), *range(directory_at(WHOLE), len(WHOLE))]
    for _ in range(400):
        data = bytearray(WHOLE)
        for _ in range(chance.choice((1, 2, 8, 64))):
            data[chance.choice(metadata)] = chance.choice((0, 1, 0xFF, 0xFE, chance.randrange(256)))
        outcome(bytes(data))


def test_streams_that_share_their_sectors_do_not_multiply_the_file() -> None:
    files = [{0x3705: 1, 0x3707: f"{n}.bin", 0x3701: bytes([n]) * 300_000} for n in range(8)]
    data = container(message({0x1000: "x"}, attachments=files))
    directory = directory_at(data)
    big = [
        at
        for at in range(directory, directory + 128 * 80, 128)
        if data[at + 66] == 2 and number(data, at + 120) == 300_000
    ]
    assert len(big) == 8
    for at in big:  # each becomes the whole chain of a file as large as all of them
        data = with_number(data, at + 116, number(data, big[0] + 116))
        data = with_number(data, at + 120, 2_000_000)
    found = outcome(data)
    assert "more than it has" in found if isinstance(found, str) else len(found.raw) < 2 * len(data)


def test_entries_beyond_the_limit_are_not_read() -> None:
    folder = message({0x1000: "x"}) | {f"filler{n}": b"" for n in range(MAX_ENTRIES)}
    started = time.perf_counter()
    assert "entries" in outcome(container(folder))
    assert time.perf_counter() - started < 5  # most of it is the making


def test_a_tree_without_balance_is_read_all_the_same() -> None:
    """Simple writers chain the entries of a storage to the right; a reader by recursion fails at a thousand."""
    count = 3_000
    data = container({f"filler{n}": b"" for n in range(count)} | storage({0x1000: "the text"}, 32))
    directory = directory_at(data)
    entries = range(1, count + 1 + len(storage({0x1000: "x"}, 32)))
    data = with_number(data, directory + 76, 1)
    for entry in entries:
        data = with_number(data, directory + 128 * entry + 68, 0xFFFFFFFF)
        following = entry + 1 if entry + 1 in entries else 0xFFFFFFFF
        data = with_number(data, directory + 128 * entry + 72, following)
    found = outcome(data)
    assert isinstance(found, SavedMessage)
    assert Note.MSG_DAMAGED not in found.notes
    assert b"dGhlIHRleHQ=" in found.raw


@pytest.mark.parametrize(
    "properties",
    [
        {0x1000: b"binary where text belongs"},
        {0x1000: 7, 0x0037: 7},
        {0x1009: "text where binary belongs", 0x1013: 5},
        {0x007D: b"From: x@y.example\r\n", 0x1000: "x"},
        {0x3FDE: 0xFFFFFFFF, 0x3FFD: 0, 0x1013: b"\xff\xfe"},
        {0x1013: b"<p>", 0x3FDE: 65000},
        {0x0039: 2**63, 0x1000: "a number where a time belongs"},
        {0x007D: "", 0x1000: ""},
        {0x007D: "\r\n\r\n\r\n", 0x1000: "\0\0"},
        {0x007D: "no field at all\r\n \r\n", 0x1000: "x"},
        {0x007D: "\0" * 1_000, 0x1000: "x"},
        {0x007D: "From: a@b.example\r\nFrom: c@d.example\rX: y\r\n", 0x1000: "x"},
        {0x007D: "x: y\r\n" * 100_000, 0x1000: "x"},
        {0x0037: "s" * 40_000, 0x0042: "n" * 40_000, 0x5D02: "a" * 30_000 + "@b.example", 0x1000: "x"},
        {0x0E04: ";" * 30_000, 0x0E03: "a;b@c;" * 5_000, 0x1000: "x"},
        {},
    ],
)  # fmt: skip
def test_properties_of_the_wrong_type_or_size_give_a_message(properties) -> None:
    found = outcome(container(message(properties)))
    assert isinstance(found, SavedMessage)


def test_a_time_beyond_the_calendar_is_no_date() -> None:
    folder = message({0x1000: "x"})
    folder["__properties_version1.0"] += struct.pack("<HHIQ", 0x0040, 0x0039, 6, 2**64 - 1)
    found = outcome(container(folder))
    assert isinstance(found, SavedMessage)
    assert b"\nDate:" not in found.raw


@pytest.mark.parametrize(
    ("folder", "words"),
    [({"WordDocument": b"x" * 5_000}, "holds no message"), ({}, "holds no message")],
)
def test_another_kind_of_container_is_no_message(folder, words: str) -> None:
    assert words in outcome(container(folder))


def test_a_broken_msg_file_inside_is_an_attachment_like_any_other() -> None:
    broken = {0x3705: 1, 0x3707: "broken.msg", 0x3701: WHOLE[:3_000]}
    found = outcome(container(message({0x1000: "x"}, attachments=[broken])))
    assert isinstance(found, SavedMessage)
    assert Note.MSG_DAMAGED in found.notes
    assert b"broken.msg" in found.raw
