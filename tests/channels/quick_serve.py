"""``serve`` with the waits of tenths of seconds that a test can live with; everything else is as it is.

Used as the first word of a command: what follows is the command itself.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import outbound.patience
import outbound.store.orders
import outbound.store.queue
import outbound.store.subscriber_events
import outbound.subscriber
from expertmail.cli import run

if __name__ == "__main__":
    outbound.subscriber.WAITS = tuple(timedelta(seconds=0.2) for _ in outbound.subscriber.WAITS)
    outbound.patience.FIRST_SECONDS = 0.1
    outbound.patience.MOST_SECONDS = 0.5
    # What a kill leaves behind is taken up again soon.
    for store in (outbound.store.subscriber_events, outbound.store.queue, outbound.store.orders):
        store.LEASE = timedelta(seconds=6)
    sys.exit(run(sys.argv[sys.argv.index("serve") :]))
