"""``python -m tests.fuzz.guided``: coverage-guided fuzzing of the readers by atheris, and how much of each it reached.

Each reader runs in a process of its own, seeded, from the pieces of its grammar and what earlier runs found. The short
form tries 20,000 inputs each; FULL=1 tries 1,000,000 and fails below 90 % of a reader's lines. An exception that is
not declared ends it with exit code 1; the input is kept in tests/fuzz/finds and is a test from then on.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

FULL: Final = os.environ.get("FULL") == "1"
RUNS: Final = 1_000_000 if FULL else 20_000
LEAST: Final = 0.90  # of a reader's lines, where all inputs were tried
MAX_OCTETS: Final = 512  # of one input
LONGER: Final = {"message": 8_192, "key": 4_200}  # those whose limits can be reached at little cost
FINDS: Final = Path(__file__).with_name("finds")

# Reader: where its target stands, and the modules that are guided by and measured.
READERS: Final = {
    "message": ("test_verifier_readers", ("verifier.message",)),
    "author_field": ("test_verifier_readers", ("verifier.address", "verifier.address_text", "verifier.address_domain")),
    "signature": ("test_verifier_readers", ("verifier.dkim_signature", "verifier.tag_list")),
    "key": ("test_verifier_readers", ("verifier.dkim_key", "verifier.tag_list")),
    "dmarc": ("test_verifier_readers", ("verifier.dmarc_record",)),
    "dmarc_7489": ("test_verifier_readers", ("verifier.dmarc_7489_record",)),
    "parts": ("test_verifier_readers", ("verifier.parts", "verifier.part", "verifier.content_value")),
    "trace": ("test_verifier_readers", ("verifier.received_field", "verifier.received_walk", "verifier.microsoft_365")),
    "authentication_results": ("test_other_readers", ("verifier.authres",)),
    "new_text": ("test_other_readers", ("threads.new_text", "threads.quote_words")),
    "tnef": ("test_thread_readers", ("threads.tnef",)),
    "rtf": ("test_thread_readers", ("threads.rtf_text",)),
    "charset_guess": ("test_thread_readers", ("threads.charset_guess",)),
    "bounces": ("test_thread_readers", ("threads.delivery_report", "threads.bounce_text")),
    "cloud_notice": ("test_thread_readers", ("threads.cloud_notice",)),
    "html_signature": ("test_thread_readers", ("threads.html_signature",)),
    "proxy": ("test_other_readers", ("smtp_gateway.proxy_protocol",)),
}  # fmt: skip


def _tnef(name: int, value: bytes) -> bytes:
    """An attribute of a winmail.dat (MS-OXTNEF 2.1.3.2), its checksum not looked at."""
    return b"\1" + struct.pack("<II", name, len(value)) + value + b"\0\0"


# Properties of each kind of value: a string of both kinds, octets, an object, one and several numbers, two with a name.
_PROPERTIES: Final = b"".join((
    struct.pack("<I", 9),
    struct.pack("<HHII", 0x1F, 0x1000, 1, 4) + b"a\0b\0",
    struct.pack("<HHII", 0x1E, 0x3707, 1, 5) + b"a.txt\0\0\0",
    struct.pack("<HHII", 0x102, 0x1013, 1, 4) + b"<p>a",
    struct.pack("<HHI", 3, 0x3FDE, 65001),
    struct.pack("<HHII", 0x0D, 0x3701, 1, 20) + b"x" * 20,
    struct.pack("<HHI", 0x1003, 0x1001, 2) + b"12345678",
    struct.pack("<HH16sII", 3, 0x8001, b"", 0, 7) + b"1234",
    struct.pack("<HH16sII", 3, 0x8002, b"", 1, 2) + b"n\0\0\0" + b"1234",
    struct.pack("<HHIII", 0x101E, 0x1002, 2, 1, 97) + struct.pack("<II", 1, 98),
))  # fmt: skip
# Whole examples to begin with.
EXAMPLES: Final[dict[str, tuple[bytes, ...]]] = {
    "author_field": (
        b'"A, B" (c (d)) <a."b"@b.test>',
        b"Team: A <a@b.test>, =?utf-8?q?B?= <b@b.test>; , c@b.test (x)",
        b"<@a.test,@b.test:c@d.test>",
        "Jörg <jörg@bücher.test>".encode(),
        b"a@[192.0.2.1]",
        b"a@xn--bcher-kva.test",
        b"A. B. <a.b@c.test>",
        b'"\\"x\\\\" <"a b"@c.test>',
        b'"a',
        b"(",
    ),
    "signature": (
        (b"v=1; a=rsa-sha256; c=relaxed/simple; d=b.test; s=s1; t=1; x=2; l=3; q=dns/txt; i=a=40b@c.b.test;\r\n\t"
        b"h=from : to; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA"),
        b"v=1; a=ed25519-sha256; d=b.test; s=s1; h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA; z=x",
        b"v=1; a=rsa-sha1; d=b.test; s=s1; h=from; bh=AAAA; b=AAAA",
        b"v=1; a=rsa-sha256; d=b.test; s=s1; h=to; bh=AAAA; b=AAAA",
        b"v=1; a=rsa-sha256; d=b.test; s=s1; h=from; bh=AAAA; b=AAAA; q=http; c=x",
    ),
    "authentication_results": (
        b'mx.test 1; dkim/1=pass reason="x (y)" header.d=a.test header.b="q\\"r" (c); spf=fail smtp.mailfrom=a@b.test',
        b"(c) mx.test; none",
        b'"mx"; dmarc=pass policy.dmarc=@b.test',
    ),
    "parts": ((
        b"Content-Type: multipart/mixed;\r\n boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset*0*=utf-8''%41;"
        b' charset*1=b\r\nContent-Disposition: attachment; filename="a.eml"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        b"QQ==\r\n--x\r\nX-Odd: 1\r\n b\r\n\r\nRead\r\n--x--\r\n"
    ),),
    "trace": (
        b"Return-Path: <a@b.test>\r\nReceived: from b.test ([10.0.0.1]) by c.local; x\r\nReceived: from a.test (a.test [9.0.2.1]) by mx.test; x",
        b"Return-Path: MAILER-DAEMON\r\nReceived: from a.test (a.test [9.0.2.1]) by mx.test; x\r\nAuthentication-Results: mx.test; compauth=x",
        b"Received: from a (a.test [192.0.2.1]) by mx.test (Postfix) with ESMTPSA id 1 for <a@b.test>; x",
        b"Received: from a.test (HELO b) (192.0.2.1) by mx.test; x\r\nReceived: from a.test ([2001:db8::1] helo=c) by mx.test",
        b"Received: from [192.0.2.1] (helo=c) by mx.test\r\nReceived: by mx.test (qmail 1 invoked by uid 1); x",
    ),
    "key": (
        (b"v=DKIM1; k=rsa; t=y:s; p="
        b"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDHYj5oZIIw6kLVx8kCv8A30gPzy5zf9ZhhO9AVz0kyrDTuAl+frcELAyBhxdYZm72bjHBxsSFQ"
        b"tUzgxkhaqJxblrU/4EMkWBJ2ddlNrRjQs+u4V1ONlGjRScpLeen3FNBXv4aIrYuTjm7F+FxJOOk4kiO4RIPWjuRV3t8X29Q8BQIDAQAB"),
        (b"k=rsa; p=MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAMkexS/s5s7LyhKt8uXZhsckmrhMKmCXvNriHDk+gbHP0SUMkdmHPBC9wVOif4/XmmmZe2Wh"
        b"LhC8WTKSKv6Ov77f03O6B7ntpo8nhXkfKmK8ELjGpHHx0v8SiCLZa5a3BwIDAQAB"),
        (b"k=rsa; p=MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6teirl0Qu5aVePcux1oOEu2m71i7sehutrJcti8nyqMCcIkRS3CvGM9LT2D3zcef/u+Y"
        b"pzW9xw9HYqSBvUmOUA=="),
        b"k=ed25519; h=sha256; s=email; p=E86A6VBXagjzPgv8mu/8TfwCNQlXOP4cjWeWxj+eMiU=",
        b"p=" + b"A" * 4_100,
    ),
    "message": (b"A:\r\n" * 2_003 + b"\r\n", b"A: " + b"x" * 999 + b"\r\n\r\n", b"A: 1\r\n b\r\nDKIM-Signature : x\r\n\r\nbody", b"A: 1\nB: 2\n\nbody", b" x\r\n\r\n", b"A: 1\r\r\n"),
    "proxy": (
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4096 25\r\nEHLO",
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP6 ::1 ::2 1 65536\r\n",
        b"PROXY TCP4 1.1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY " + b"x" * 110,
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x10\x00\x00\x19",
        b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\x0c",
        b"\r\n\r\n\x00\r\nQUIT\n\x22\x11\xff\xff",
    ),
    "tnef": (
        _tnef(0x69007, struct.pack("<I", 1252)) + _tnef(0x2800C, b"a\0") + _tnef(0x69003, _PROPERTIES),
        _tnef(0x18010, b"x") + _tnef(0x69002, b"") + _tnef(0x18010, b"a.txt\0") + _tnef(0x6800F, b"a") + _tnef(0x69005, _PROPERTIES),
        _tnef(0x69003, struct.pack("<IHHI", 1, 3, 0x3FDE, 1252)) + _tnef(0x69003, struct.pack("<IHHII", 1, 0x102, 0x1013, 1, 4) + b"<p>a"),
        _tnef(0x69003, struct.pack("<IHHII", 1, 0x1E, 0x1000, 9, 0xFFFF)),
    ),
    "html_signature": (
        b"a<div id=Signature><div>b</div></div><hr><div id=divRplyFwdMsg>c</div>",
        b"<div id=Signature> </div><span class='gmail_signature'>-- b</span>",
        b"<div id=Signature>a</div>" * 12,
        b"<div id=Signature>a<div>",
    ),
    "cloud_notice": (
        (b'{"notificationType":"Bounce","bounce":{"bounceType":"Transient","bouncedRecipients":[{"emailAddress":"a@b.test"},7]},'
        b'"mail":{"headers":[{"name":"Message-ID","value":"<q@x.test>"}]}}'),
        b'{"eventType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"a@b.test"}]},"mail":{"messageId":"1"}}',
        b'{"eventType":"Delivery","delivery":{"recipients":["a@b.test"]},"mail":{"commonHeaders":{"messageId":"<a@b>"}}}',
        b'{"notificationType":"X"}',
        b'{"notificationType":',
        b'"notificationType"',
        b'{"Message":"{\\"notificationType\\":\\"Bounce\\"}"}',
        b'{"eventType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":"a@b.test"}]}}',
    ),
    "rtf": (rb"{\rtf1\ansicpg1251{\fonttbl x}\'e4\u228?\par\bin3 abc\htmlrtf x\htmlrtf0{\*\x y}\~\tab\uc2\u9 ab}}", b"{" * 250 + b"}" * 250),
    "charset_guess": tuple(
        text.encode(charset)
        for text, charset in (
            ("Это был я, спасибо", "koi8-r"),
            ("Это был я, спасибо", "cp1251"),
            ("これはテスト", "euc_jp"),
            ("これはテスト", "iso2022_jp"),
            ("中文的信件內容", "big5"),
            ("안녕하세요 여러분", "cp949"),
            ("Grüße aus Köln", "cp1252"),
            ("Zażółć gęślą jaźń", "cp1250"),
        )
    ),
    "new_text": (b"a\n\nOn Mon, A <a@b.test>\nwrote:\n> b\n> \n> c\n\n-- \nA\n",),
}  # fmt: skip
# Lines that no input of the target can reach: other functions of the module, and limits above MAX_OCTETS.
ELSEWHERE: Final = {
    "message": ("clean_values", "by_name", "named", "raw", "<dictcomp>"),
    "author_field": ("addresses_in", "_display_flags", "address"),
    "signature": ("unsigned_form", "without_signature", "origin_of", "key_name"),
    "key": ("usable_keys", "verifies", "_is_text"),
    "dmarc": ("applying", "weaker"),
    "dmarc_7489": ("applying",),
    "parts": ("raw_body", "body_bytes", "body_text", "multipart", "parameter"),
    "trace": (),
    "authentication_results": ("pvalue",),
    "new_text": (),
    "tnef": (),
    "rtf": (),
    "charset_guess": (),
    "bounces": ("with_status", "returned_message_id", "delivered", "delayed", "broken_body", "completed"),
    "cloud_notice": (),
    "html_signature": (),
    "proxy": (),
}


def main() -> int:
    """Run every reader, two at a time, and tell."""
    if importlib.util.find_spec("atheris") is None:
        print(
            "Not guided by coverage: atheris is not installed; pip install atheris (Python 3.11 to 3.13, Linux)."
        )
        return 0
    failed = False
    for name in READERS:
        with tempfile.TemporaryDirectory() as corpus:
            _seed(name, Path(corpus))
            run = _child("fuzz", name, corpus)
            reached = _child("cover", name, corpus)
        share, missed = reached.stdout.partition(" ")[::2]
        line = f"{name:<24} {RUNS:>9,} inputs, {float(share or 0):6.1%} of its lines"
        bad = run.returncode != 0 or (FULL and float(share or 0) < LEAST)
        print(line + ("" if not bad else "  FAILED"), flush=True)
        if run.returncode:
            print(run.stderr[-2_000:])
        if missed.strip():
            print(f"{'':<24} not reached: {missed.strip()}")
        failed = failed or bad
    return 1 if failed else 0


def _child(job: str, name: str, corpus: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.guided", job, name, corpus]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _target(name: str) -> Any:
    return getattr(importlib.import_module(f"tests.fuzz.{READERS[name][0]}"), name)


def _seed(name: str, corpus: Path) -> None:
    """The pieces of the grammar, one by one and in rows, and what was found before."""
    pieces = _target(name).pieces
    for number, piece in enumerate(pieces):
        (corpus / f"piece-{number}").write_bytes(piece)
        (corpus / f"row-{number}").write_bytes(b"".join(pieces[number : number + 6])[:MAX_OCTETS])
    for number, example in enumerate(EXAMPLES.get(name, ())):
        (corpus / f"example-{number}").write_bytes(example)
    for number, find in enumerate(sorted(FINDS.glob(f"{name}-*"))):
        (corpus / f"find-{number}").write_bytes(find.read_bytes())


def fuzz(name: str, corpus: str) -> None:
    """In a process of its own: libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=list(READERS[name][1])):
        outcome: Callable[[bytes], object] = _target(name).outcome
    dictionary = Path(corpus).with_suffix(".dict")
    words = {piece for piece in _target(name).pieces if 0 < len(piece) <= 64}
    dictionary.write_text(
        "".join('"' + "".join(f"\\x{octet:02x}" for octet in word) + '"\n' for word in sorted(words)), "ascii"
    )
    options = [
        f"-runs={RUNS}",
        "-seed=20261126",
        f"-max_len={LONGER.get(name, MAX_OCTETS)}",
        f"-dict={dictionary}",
        "-verbosity=0",
    ]
    FINDS.mkdir(exist_ok=True)
    atheris.Setup([name, *options, f"-artifact_prefix={FINDS}/{name}-", corpus], outcome)
    atheris.Fuzz()


def cover(name: str, corpus: str) -> None:
    """Print the share of lines that the corpus reaches, and those that it does not."""
    outcome = _target(name).outcome
    files = {str(sys.modules[module].__file__): module for module in READERS[name][1]}
    seen: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            seen.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    sys.settrace(trace)
    for path in sorted(Path(corpus).iterdir()):
        outcome(path.read_bytes())
    sys.settrace(None)
    wanted = {
        (file, line)
        for file, module in files.items()
        for line in _lines(compile(Path(file).read_text("utf-8"), file, "exec"), ELSEWHERE[name], top=module)
    }
    missed = sorted(f"{Path(file).stem}:{line}" for file, line in wanted - seen)
    print(f"{len(wanted & seen) / len(wanted):.4f} {' '.join(missed)}")


def _lines(code: CodeType, elsewhere: tuple[str, ...], top: str = "") -> Iterator[int]:
    """Lines inside functions; a class's own lines and a module's run when it is loaded."""
    for constant in code.co_consts:
        if not isinstance(constant, CodeType) or constant.co_name in elsewhere:
            continue
        inside_class = constant.co_flags & 0x2 == 0  # no CO_NEWLOCALS: a class body
        if not inside_class:
            yield from {
                line
                for _, _, line in constant.co_lines()
                if line is not None and line != constant.co_firstlineno
            }
        yield from _lines(constant, elsewhere)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        {"fuzz": fuzz, "cover": cover}[sys.argv[1]](sys.argv[2], sys.argv[3])
    else:
        sys.exit(main())
