"""No full collection of garbage holds up those who talk to a gateway: what its start has made is left out of all."""

from __future__ import annotations

import re
import signal
import smtplib
from collections.abc import Callable

import pytest

from tests.proofs.served import Served

TELLS_AT_ITS_END = """
import atexit, gc, os, sys
if "expertmail" in " ".join(sys.orig_argv):
    def tell():
        os.write(2, b"spared %d of %d\\n" % (gc.get_freeze_count(), gc.get_freeze_count() + len(gc.get_objects())))
    atexit.register(tell)
    at_once = os._exit  # how a forked process ends
    os._exit = lambda code: (tell(), at_once(code))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_start_has_made_is_left_out_of_collections(serve: Callable[..., Served], workers: int) -> None:
    served = serve(f"[smtp]\nworkers = {workers}\n")
    (served.folder / "sitecustomize.py").write_text(TELLS_AT_ITS_END)
    path = served.environment.get("PYTHONPATH")
    served.environment["PYTHONPATH"] = str(served.folder) if path is None else f"{served.folder}:{path}"
    served.start()
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=30) as client:
        client.sendmail("a@contoso.test", ["query@experts.test"], "From: a@contoso.test\r\n\r\nHello\r\n")
    assert served.process is not None
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(30)
    told = re.findall(r"spared (\d+) of (\d+)", served.log.read_text())
    busy = [(int(spared), int(there)) for spared, there in told if int(spared)]
    assert len(busy) == (1 if workers == 1 else 4)  # with what forks the workers
    for spared, there in busy:
        assert spared > there // 2
