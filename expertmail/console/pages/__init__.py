"""The console's pages: each module declares its own, ``catalogue`` has them all, ``door`` lets people in."""
