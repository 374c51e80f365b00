"""The MIME walker: spans, leniency, limits, and attached messages byte for byte."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier import content_value, parts
from verifier.content_value import read_content_value
from verifier.message import read_message
from verifier.parts import (
    MAX_DEPTH,
    MAX_PARTS,
    PartDefect,
    attached_messages,
    body_bytes,
    body_text,
    raw_body,
    walk,
)
from verifier.transfer import decode_base64, decode_quoted_printable

INNER = b"From: x@example.test\r\nSubject: in\r\n\r\ninner  body \r\n\r\n"


def lines(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


NESTED = lines(
    """From: a@example.test
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html; charset="utf-8"
Content-Transfer-Encoding: base64

PGI+Z3LDvMOfZTwvYj4=
--inner--
epilogue of the inner one
--outer
Content-Type: application/pdf; name="=?utf-8?Q?Gr=C3=BC=C3=9Fe.pdf?="
Content-Disposition: attachment; filename*0*=utf-8''Gr%C3%BC; filename*1*=%C3%9Fe; filename*2=".pdf"
Content-Transfer-Encoding: base64

JVBERg==
--outer--
epilogue
"""
)


def test_every_part_is_where_it_stands_in_the_bytes() -> None:
    message = read_message(NESTED)
    parts = walk(message)
    assert [(p.parent, p.depth, p.content_type) for p in parts] == [
        (None, 0, "multipart/mixed"),
        (0, 1, "multipart/alternative"),
        (1, 2, "text/plain"),
        (1, 2, "text/html"),
        (0, 1, "application/pdf"),
    ]
    assert raw_body(message, parts[2]) == b"plain"
    assert body_text(message, parts[3]) == ("<b>grüße</b>", False)
    assert (parts[4].disposition, parts[4].filename) == ("attachment", "Grüße.pdf")
    assert body_bytes(message, parts[4]) == b"%PDF"
    assert message.raw[parts[4].header_start : parts[4].header_end].startswith(
        b"Content-Type: application/pdf"
    )
    assert not any(p.defects for p in parts)


def test_a_missing_final_boundary_is_told_and_loses_nothing() -> None:
    message = read_message(NESTED[: NESTED.index(b"--outer--")])
    parts = walk(message)
    assert body_bytes(message, parts[-1]) == b"%PDF"
    assert PartDefect.NO_FINAL_BOUNDARY in parts[0].defects


def test_an_outer_boundary_ends_an_inner_multipart_that_was_never_closed() -> None:
    message = read_message(NESTED.replace(b"--inner--\r\n", b""))
    parts = walk(message)
    assert [p.content_type for p in parts][-1] == "application/pdf"
    assert PartDefect.NO_FINAL_BOUNDARY in parts[1].defects


@pytest.mark.parametrize(
    "kind", ["message/rfc822", "message/global", 'application/octet-stream; name="x.EML"']
)
@pytest.mark.parametrize("encoding", ["7bit", "8bit", "base64"])
def test_an_attached_message_comes_out_byte_for_byte(kind: str, encoding: str) -> None:
    body = base64.encodebytes(INNER).replace(b"\n", b"\r\n") if encoding == "base64" else INNER + b"\r\n"
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    raw = (
        b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n"
        + head
        + body
        + b"--q--\r\n"
    )
    assert attached_messages(read_message(raw)) == (INNER,)


def test_an_encoded_attached_text_file_named_eml_is_a_message() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: text/plain\r\n"
        b"Content-Disposition: attachment; filename=x.eml\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"From: =\r\nx@y.test\r\n\r\nhi\r\n--q--"
    )
    assert attached_messages(read_message(raw)) == (b"From: x@y.test\r\n\r\nhi",)


def test_parts_of_a_digest_are_messages_by_default() -> None:
    raw = b"Content-Type: multipart/digest; boundary=q\r\n\r\n--q\r\n\r\nFrom: a@b.test\r\n\r\nx\r\n--q--\r\n"
    assert attached_messages(read_message(raw)) == (b"From: a@b.test\r\n\r\nx",)


def test_a_thousand_nested_multiparts_are_walked_in_linear_time_to_the_cap() -> None:
    heads = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(1000)
    )
    tails = b"".join(b"--b%d--\r\n" % i for i in range(999, -1, -1))
    started = time.perf_counter()
    parts = walk(read_message(b"From: a@b.test\r\n" + heads + b"\r\nleaf\r\n" + tails))
    assert time.perf_counter() - started < 1
    assert parts[-1].depth == MAX_DEPTH
    assert PartDefect.TOO_DEEP in parts[-1].defects


def test_parts_beyond_the_cap_are_not_opened_and_that_is_told() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 50_000
    started = time.perf_counter()
    parts = walk(read_message(raw))
    assert time.perf_counter() - started < 1
    assert len(parts) == MAX_PARTS
    assert PartDefect.TOO_MANY_PARTS in parts[0].defects


@pytest.mark.parametrize(
    "value",
    [
        b'"\\' * 8000,
        b"(" * 16000,
        b'a="' + b'\\"' * 8000,
        b";a*0*=" * 3000,
        b"((" * 8000 + b"))" * 4000,
        b"%" * 16000,
    ],
)
def test_hostile_parameters_cost_linear_time(value: bytes) -> None:
    started = time.perf_counter()
    read_content_value(b"text/plain; " + value)
    assert time.perf_counter() - started < 1  # measured: 5 ms at most


def test_every_truncation_is_walked_without_an_exception() -> None:
    for size in range(len(NESTED)):
        message = read_message(NESTED[:size])
        for part in walk(message):
            body_text(message, part)
            assert 0 <= part.header_start <= part.header_end <= part.body_start <= part.body_end <= size
        attached_messages(message)


def test_a_boundary_used_twice_does_not_open_a_second_multipart() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
    )
    parts = walk(read_message(raw))
    assert PartDefect.BOUNDARY_IN_USE in parts[1].defects
    assert [p.depth for p in parts] == [0, 1, 1]


@pytest.mark.parametrize("data", [b"", b"=", b"A", b"AA=A", b"\xff\xfe", b"QUJD*REVG", b"====", b"QUJDRA"])
def test_broken_base64_gives_what_can_be_had(data: bytes) -> None:
    assert isinstance(decode_base64(data), bytes)


def test_transfer_decodings_are_exact_where_the_input_is_whole() -> None:
    assert decode_base64(b"QUJD\r\nREVG\r\n") == b"ABCDEF"
    assert decode_quoted_printable(b"a=20b=\r\nc=3D") == b"a bc="
    assert decode_quoted_printable(b"=ZZ=") is not None


def test_all_public_mail_is_walked_without_an_exception(shared_data) -> None:
    files = [p for p in (shared_data / "mail").rglob("*") if p.is_file()]
    for file in files[:1500]:
        message = read_message(file.read_bytes())
        parts = walk(message)
        for part in parts[:20]:
            body_text(message, part)
        attached_messages(message, parts)


_PIECES = st.sampled_from(
    ["text/plain", "TEXT/Html", ";", "; ", "charset=", "utf-8", '"', "a b", "name", "=", "*0", "*", "\\", "(x)", " ", "\t",
     "\r\n ", "\r\n\t", "\r\n", "é", "boundary", "=_1", "'"]
)  # fmt: skip


@settings(max_examples=1_500, deadline=None)
@given(st.lists(_PIECES, max_size=12))
def test_the_quick_reader_of_content_values_gives_what_the_full_one_gives(pieces: list[str]) -> None:
    value = "".join(pieces).encode()
    assert read_content_value(value) == content_value._read(value)


@pytest.mark.as_source
@settings(max_examples=600, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"A: 1", b"Content-Type: text/plain", b"x", b"\r\n", b"\r\n ", b"\n", b"--b", b"--b--", b"-", b":",
                         b"B : 2", b"\0", b"\r\n\r\n", b"\r"]),
        max_size=14,
    )
)  # fmt: skip
def test_the_quick_reader_of_part_headers_gives_what_the_line_by_line_one_gives(pieces: list[bytes]) -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"".join(pieces) + b"\r\n--b--\r\n"
    message = read_message(raw)
    quick = walk(message)
    slow = parts._Walker(message)
    slow._usual_header = lambda _start: None
    assert quick == slow.walk()
