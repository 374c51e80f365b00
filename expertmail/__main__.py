"""``python -m expertmail`` is the same as ``expertmail``."""

from expertmail.cli import main

main()
