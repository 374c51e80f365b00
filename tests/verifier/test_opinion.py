"""The second implementation runs apart, gets only the evidence's keys, and never makes anybody wait."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import time
from pathlib import Path

import pytest

from verifier import opinion_worker
from verifier.evidence import Opinion
from verifier.opinion import MAX_BLANK_RUN, MAX_SIGNATURE_FIELD, too_costly
from verifier.opinion_dkimpy import answer_request, opinion_of
from verifier.opinion_worker import SecondOpinion


def _vector(shared_data: Path, name: str) -> tuple[bytes, dict[str, str]]:
    vectors = json.loads((shared_data / "dkim-edge" / "vectors.json").read_text("utf-8"))
    vector = next(v for v in vectors if v["id"] == name)
    return base64.b64decode(vector["msg"]), {f"{k}.": v for k, v in vector["zone"].items()}


def _asked(*requests: tuple[bytes, int, dict[str, str]]) -> list[Opinion]:
    async def run() -> list[Opinion]:
        second = SecondOpinion()
        try:
            return [await second.ask(*request) for request in requests]
        finally:
            await second.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("base-rsa", Opinion.PASS),
        ("base-ed", Opinion.PASS),
        ("tampered-body", Opinion.FAIL),
        ("tampered-subject", Opinion.FAIL),
        ("revoked", Opinion.FAIL),
        ("nokey", Opinion.FAIL),
        ("leading-wsp-line", Opinion.SKIPPED),  # dkimpy breaks on it (IndexError)
    ],
)
def test_dkimpy_has_its_word_through_the_worker(shared_data: Path, name: str, expected: Opinion):
    raw, txt = _vector(shared_data, name)
    assert opinion_of(raw, 0, txt) is expected
    assert _asked((raw, 0, txt)) == [expected]


def test_an_expired_signature_is_an_opinion_about_the_cryptography_alone(shared_data: Path):
    raw, txt = _vector(shared_data, "x-past")  # our own clock, which may be one of the past, judges x=
    assert _asked((raw, 0, txt)) == [Opinion.PASS]


def test_the_worker_answers_after_garbage_and_keeps_one_process(shared_data: Path):
    good, txt = _vector(shared_data, "base-rsa")

    async def run() -> None:
        second = SecondOpinion()
        assert second._process is None, "nothing is started before it is needed"
        try:
            assert await second.ask(good, 0, txt) is Opinion.PASS
            pid = second._process.pid
            for garbage in (
                b"",
                b"\0" * 100,
                b" x\r\n",
                os.urandom(5_000),
                b"DKIM-Signature: l=; t=" + b"9" * 500,
            ):
                assert await second.ask(garbage, 0, txt) in (Opinion.FAIL, Opinion.SKIPPED)
            assert await second.ask(good, 7, txt) is Opinion.FAIL
            assert await second.ask(good, 0, {}) is Opinion.FAIL, "no key in the evidence, no question to DNS"
            assert await second.ask(good, 0, txt) is Opinion.PASS
            assert second._process.pid == pid
        finally:
            await second.close()

    asyncio.run(run())


def test_a_late_worker_is_killed_and_the_next_request_gets_a_new_one(shared_data: Path):
    good, txt = _vector(shared_data, "base-rsa")

    async def run() -> None:
        second = SecondOpinion(seconds=0.3)
        try:
            assert await second.ask(good, 0, txt) is Opinion.PASS
            pid = second._process.pid
            os.kill(pid, signal.SIGSTOP)
            started = time.monotonic()
            assert await second.ask(good, 0, txt) is Opinion.SKIPPED
            assert time.monotonic() - started < 3
            assert await second.ask(good, 0, txt) is Opinion.PASS
            assert second._process.pid != pid
        finally:
            await second.close()

    asyncio.run(run())


def test_a_worker_that_died_is_replaced(shared_data: Path):
    good, txt = _vector(shared_data, "base-rsa")

    async def run() -> None:
        second = SecondOpinion()
        try:
            assert await second.ask(good, 0, txt) is Opinion.PASS
            os.kill(second._process.pid, signal.SIGKILL)
            assert await second.ask(good, 0, txt) in (Opinion.PASS, Opinion.SKIPPED)
            assert await second.ask(good, 0, txt) is Opinion.PASS
        finally:
            await second.close()

    asyncio.run(run())


def test_a_worker_that_cannot_start_gives_no_opinion(shared_data: Path, monkeypatch: pytest.MonkeyPatch):
    good, txt = _vector(shared_data, "base-rsa")
    monkeypatch.setattr(opinion_worker.sys, "executable", "/nonexistent/python")
    assert _asked((good, 0, txt)) == [Opinion.SKIPPED]
    monkeypatch.setattr(opinion_worker.sys, "executable", "/bin/false")
    assert _asked((good, 0, txt)) == [Opinion.SKIPPED]


def test_a_cancelled_question_leaves_no_answer_for_the_next_one(shared_data: Path):
    good, txt = _vector(shared_data, "base-rsa")
    bad, _ = _vector(shared_data, "tampered-body")

    async def run() -> None:
        second = SecondOpinion()
        try:
            assert await second.ask(good, 0, txt) is Opinion.PASS
            os.kill(second._process.pid, signal.SIGSTOP)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await second.ask(good, 0, txt)
            assert await second.ask(bad, 0, txt) is Opinion.FAIL
        finally:
            await second.close()

    asyncio.run(run())


def test_questions_side_by_side_each_get_their_own_answer(shared_data: Path):
    good, txt = _vector(shared_data, "base-rsa")
    bad, _ = _vector(shared_data, "tampered-body")

    async def run() -> None:
        second = SecondOpinion()
        try:
            words = await asyncio.gather(*(second.ask(m, 0, txt) for m in (good, bad) * 10))
            assert words == [Opinion.PASS, Opinion.FAIL] * 10
        finally:
            await second.close()

    asyncio.run(run())


def test_what_costs_dkimpy_seconds_is_not_given_to_it(shared_data: Path):
    good, txt = _vector(shared_data, "base-rsa")
    blanks = good + b" " * 400_000 + b"x\r\n"
    folds = good.replace(b"; b=", b"; b=" + b"\r\n A" * 16_000, 1)
    started = time.process_time()
    assert too_costly(blanks, 0)
    assert too_costly(folds, 0)
    assert not too_costly(good, 0)
    assert not too_costly(good + b" " * (MAX_BLANK_RUN - 10) + b"x", 0)
    assert len(folds) > MAX_SIGNATURE_FIELD
    assert _asked((blanks, 0, txt), (folds, 0, txt)) == [Opinion.SKIPPED] * 2
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "request_", [b"", b"{}", b"[]\n", b"{\n", b'{"signature": "x", "txt": {}}\n', b"\xff\n", b"[" * 9000]
)
def test_what_is_no_request_is_skipped(request_: bytes):
    assert answer_request(request_) is Opinion.SKIPPED
