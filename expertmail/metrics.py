"""What Prometheus sees. A registry of our own, so that several gateways in one process do not mix."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from expertmail.metrics_sum import Counts, counts_of, with_others

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COMMIT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_INTAKE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class Metrics:
    """Counters, timings and gauges of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._others: Callable[[], Counts] = tuple
        self.messages = Counter(
            "expertmail_messages",
            "Copies that ended in an SMTP answer: filed, held, triage or answered, by verdict; rejected or deferred, without.",
            ("outcome", "verdict"),
            registry=self.registry,
        )
        self.refusals = Counter(
            "expertmail_refusals",
            "Messages that were not taken, by SMTP reply code.",
            ("code",),
            registry=self.registry,
        )
        self.smtp_refusals = Counter(
            "expertmail_smtp_refusals",
            "Negative SMTP replies before a message was judged, by stage (greeting, or the command) and code.",
            ("stage", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "expertmail_intake_seconds",
            "From the last byte of a message to its commit, judging included.",
            buckets=_INTAKE,
            registry=self.registry,
        )
        self.commit = Histogram(
            "expertmail_commit_seconds",
            "From a verdict to its commit, waiting for the writer included.",
            buckets=_COMMIT,
            registry=self.registry,
        )
        self.connections = Gauge("expertmail_smtp_connections", "Open SMTP sessions.", registry=self.registry)
        self.verifications = Counter(
            "expertmail_verify_requests",
            "Requests to POST /api/v1/verify, by their answer.",
            ("outcome",),
            registry=self.registry,
        )
        self.api_requests = Counter(
            "expertmail_api_requests",
            "Requests of programs to the HTTP interface, by what they asked for and their answer.",
            ("operation", "outcome"),
            registry=self.registry,
        )
        self.page_requests = Counter(
            "expertmail_page_requests",
            "Requests for pages of the console, by the page and the answer.",
            ("page", "outcome"),
            registry=self.registry,
        )
        self.told = Counter(
            "expertmail_channel_tries",
            "Tries to tell a webhook or a Teams channel of a timeline entry, by what became of the entry.",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self.expired = Counter(
            "expertmail_held_expired",
            "Messages whose content was removed because their time was over, by what they were.",
            ("disposition",),
            registry=self.registry,
        )

    def watch(self, name: str, text: str, label: str, read: Callable[[], dict[str, float]]) -> None:
        """Export what ``read`` gives when the page is asked for, one line for each key of its answer."""
        self.registry.register(_Watched(name, text, label, read))

    def add_others(self, read: Callable[[], Counts]) -> None:
        """Add what ``read`` gives, the counts of other processes of this gateway, to the page."""
        self._others = read

    def counts(self) -> Counts:
        """What this process has counted, for the one that shows the page."""
        return counts_of(self.registry.collect())

    def page(self) -> bytes:
        """All of it in Prometheus' text form."""
        summed = CollectorRegistry(auto_describe=False)
        summed.register(_Summed(self.registry, self._others()))
        return generate_latest(summed)


class _Summed(Collector):
    """A registry and the counts of other processes."""

    def __init__(self, registry: CollectorRegistry, others: Counts) -> None:
        self._registry = registry
        self._others = others

    def collect(self) -> Iterator[Metric]:
        """The sums."""
        return with_others(self._registry.collect(), self._others)


class _Watched(Collector):
    """A gauge read on demand; a source that fails leaves its gauge out rather than breaking the page."""

    def __init__(self, name: str, text: str, label: str, read: Callable[[], dict[str, float]]) -> None:
        self._name, self._text, self._label, self._read = name, text, label, read

    def describe(self) -> Iterator[Metric]:
        """The gauge without its values."""
        yield GaugeMetricFamily(self._name, self._text, labels=[self._label])

    def collect(self) -> Iterator[Metric]:
        """The gauge with what its source says now."""
        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for key, value in self._read().items():
            family.add_metric([key], value)
        yield family
