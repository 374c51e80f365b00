"""RTF as Outlook keeps it: decompressed as [MS-OXRTFCP] says, its text taken out, whatever is in it."""

from __future__ import annotations

import random
import struct
import time
import zlib

import pytest

from tests.expertmail.outlook_writer import compressed
from threads.compressed_rtf import MAX_RTF, RtfError, decompress
from threads.rtf_text import text_of

# The examples of [MS-OXRTFCP] 4.1: plain references, and one that repeats what it is writing.
SIMPLE = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
CROSSING = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")


def test_the_examples_of_the_specification_decompress() -> None:
    assert decompress(SIMPLE) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompress(CROSSING) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert text_of(decompress(SIMPLE)) == "hello world"


def test_what_is_not_compressed_is_taken_as_it_is() -> None:
    plain = b"{\\rtf1 plain}"
    assert decompress(struct.pack("<IIII", len(plain) + 12, len(plain), 0x414C454D, 0) + plain) == plain


def test_literals_of_any_length_come_through() -> None:
    for size in (0, 1, 7, 8, 9, 4_000, 5_000, 50_000):
        data = random.Random(size).randbytes(size)
        assert decompress(compressed(data)) == data


def signed(content: bytes, size: int) -> bytes:
    checksum = zlib.crc32(content, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return struct.pack("<IIII", len(content) + 12, size, 0x75465A4C, checksum) + content


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SIMPLE[:15],
        SIMPLE[:-1],
        SIMPLE[:20] + b"x" + SIMPLE[21:],
        SIMPLE[:8] + b"????" + SIMPLE[12:],
        struct.pack("<IIII", 20, MAX_RTF + 1, 0x75465A4C, 0),
        signed(b"\x01\x00", 100),  # half a reference
        signed(b"\x01\xff\xf0", 100),  # a reference to what was never written
    ],
)
def test_damage_is_an_error_of_its_own(data: bytes) -> None:
    with pytest.raises(RtfError):
        decompress(data)


def test_a_small_file_cannot_become_a_large_text() -> None:
    bomb = signed(b"\xff" + b"\x00\x0f" * 8 + (b"\xff" + b"\x0c\xff" * 8) * 100_000, 1_000)
    assert len(decompress(bomb)) < 2_000


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (rb"{\rtf1 a\par b\line c\tab d}", "a\nb\nc\td"),
        (rb"{\rtf1{\fonttbl{\f0 Arial;}}{\colortbl;\red0;}{\*\generator x}{\info{\title t}}seen}", "seen"),
        (rb"{\rtf1\ansicpg1251 \'cf\'f0\'e8}", "При"),
        (rb"{\rtf1\ansicpg932 \'93\'fa\'96\'7b}", "日本"),
        (rb"{\rtf1 \u8364?\u-10179?\u-8704?}", "€😀"),
        (rb"{\rtf1\uc2 \u8364??x{\uc0 \u8364 y}}", "€x€y"),
        (rb"{\rtf1 \{\\\}\~\emdash\'e9}", "{\\}\u00a0—é"),
        (rb"{\rtf1{\pict\bin5 }}}}}}still here}", "still here"),
        (rb"{\rtf1\fromhtml1{\*\htmltag64 <p>}\htmlrtf \f0\htmlrtf0 text{\*\htmltag72 </p>}\htmlrtf hidden\par\htmlrtf0 more}", "text\nmore"),
        (b"{\\rtf1 a\r\nb\\\nc}", "ab\nc"),
        (rb"}}}{\rtf1 unbalanced", "unbalanced"),
        (rb"{\rtf1 \u-10179?alone}", "\ufffdalone"),
        (rb"\\" + b"\\", "\\"),
        (b"", ""),
    ],
)  # fmt: skip
def test_the_text_is_what_a_person_reads(rtf: bytes, text: str) -> None:
    assert text_of(rtf) == text


@pytest.mark.parametrize(
    "piece", [b"{", b"}", b"{}", b"\\", b"\\u1 ", b"\\'", b"\\bin9", b"\\bin99999999 ", b"\\*", b"{\\fonttbl"]
)
def test_hostile_rtf_takes_time_in_line_with_its_size(piece: bytes) -> None:
    started = time.perf_counter()
    text_of(piece * (MAX_RTF // 8 // len(piece)))
    assert time.perf_counter() - started < 5  # 0.4 s on an idle machine


def test_any_bytes_give_a_text() -> None:
    chance = random.Random(1)
    for _ in range(500):
        text_of(bytes(chance.choices(b"{}\\'*u-19 abin\xff\r\n", k=200))).encode("utf-8")
