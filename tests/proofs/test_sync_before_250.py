"""250 is said after the commit is on disk: the kernel's own record of system calls says so."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from pathlib import Path

from tests.proofs.served import Served

MESSAGES = 5


def test_the_database_log_is_synced_before_each_250(
    serve: Callable[..., Served], program: Callable[[str], str], tmp_path: Path
) -> None:
    strace = program("strace")
    trace = tmp_path / "trace"
    served = serve()
    served.start(
        strace,
        "-f",
        "-y",
        "-ttt",
        "-s",
        "64",
        "-o",
        str(trace),
        "-e",
        "trace=fsync,fdatasync,sendto,write,sendmsg",
    )
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=30) as client:
        for number in range(MESSAGES):
            client.sendmail(
                "a@contoso.test",
                ["query@experts.test"],
                f"From: a@contoso.test\r\nSubject: {number}\r\n\r\nHello {number}\r\n",
            )
    served.stop()

    synced, answers = 0, 0
    for line in trace.read_text(errors="replace").splitlines():
        # A call that another thread interrupted is written in two lines; the second one is its end.
        if re.search(r"(fsync|fdatasync)(\(\d+<[^>]*expertmail\.db-wal>|\s+resumed)", line) and line.endswith(
            "= 0"
        ):
            synced += 1
        elif re.search(r"(sendto|write|sendmsg)\(\d+<(socket|TCP)", line) and '"250 2.0.0' in line:
            answers += 1
            assert synced >= 1, f"a 250 without a sync before it: {line}"
            synced = 0
    assert answers == MESSAGES, f"{answers} answers of {MESSAGES} were seen in {trace}"
