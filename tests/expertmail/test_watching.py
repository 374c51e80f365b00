"""What the gateway tells its observer reaches the metrics, and whoever waits for orders."""

from __future__ import annotations

from expertmail.metrics import Metrics
from expertmail.watching import GatewayWatch


def test_only_what_orders_an_answer_wakes_the_delivery() -> None:
    woken: list[str] = []
    watch = GatewayWatch(Metrics(), lambda: woken.append("woken"))
    watch.rejected(550)
    watch.deferred(451)
    watch.accepted("filed", "genuine", 0.1)
    assert woken == []
    watch.ordered()
    assert woken == ["woken"]
