"""Faults that a person can do something about: one sentence and an exit code, never a traceback."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes, named as in BSD's sysexits.h so that service managers and scripts know them."""

    USAGE = 64
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    SOFTWARE = 70
    CANNOT_CREATE = 73
    TEMPORARY = 75
    CONFIG = 78


class FaultError(Exception):
    """An expected fault. ``sentence`` says what is wrong and what to do; it holds no secret."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.UNAVAILABLE) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
