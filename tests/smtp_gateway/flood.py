"""A client that sends whatever is said in it, in a process of its own: it must not take the memory that is measured."""

from __future__ import annotations

import asyncio
import subprocess
import sys

CLIENT = """
import socket, sys
port, head, block, times, end = int(sys.argv[1]), *map(bytes.fromhex, sys.argv[2:4]), int(sys.argv[4]), bytes.fromhex(sys.argv[5])
if len(block) == 1:
    block *= 1 << 20
s = socket.create_connection(("127.0.0.1", port))
s.recv(100)
try:
    s.sendall(head)
    for number in range(times):
        s.sendall(block.replace(b"#", b"%d" % number) if b"#" in block else block)
    s.sendall(end)
    s.shutdown(socket.SHUT_WR)
except OSError:
    pass
said = b""
try:
    while part := s.recv(65536):
        said += part
except OSError:
    pass
sys.stdout.buffer.write(said)
"""


async def flood(port: int, head: bytes, block: bytes, times: int, end: bytes) -> bytes:
    """Send ``head``, ``block`` so many times and ``end``; what was heard after the greeting.

    A block of one octet is a MiB of it; ``#`` in a block is its number.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, str(port), head.hex(), block.hex(), str(times), end.hex(),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    return (await child.communicate())[0]
