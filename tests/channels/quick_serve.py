"""``serve`` with the waits of tenths of seconds that a test can live with; everything else is as it is.

Used as the first word of a command: what follows is the command itself.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import outbound.patience
import outbound.store.subscriber_events
import outbound.subscriber
from expertmail.cli import run

outbound.subscriber.WAITS = tuple(timedelta(seconds=0.2) for _ in outbound.subscriber.WAITS)
outbound.patience.FIRST_SECONDS = 0.1
outbound.patience.MOST_SECONDS = 0.5
outbound.store.subscriber_events.LEASE = timedelta(seconds=6)

if __name__ == "__main__":
    sys.exit(run(sys.argv[sys.argv.index("serve") :]))
