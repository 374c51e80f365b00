"""Adds up what several processes have counted. Pure: samples in, families out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

_CREATED = "_created"  # when a counter began: of several, the first


class Counted(NamedTuple):
    """One sample of one process."""

    family: str
    kind: str  # counter, gauge, histogram
    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


Counts = tuple[Counted, ...]


def counts_of(families: Iterable[Metric]) -> Counts:
    """All samples of a process."""
    return tuple(
        Counted(family.name, family.type, sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in families
        for sample in family.samples
    )


def what_stays(counts: Counts) -> Counts:
    """What a process that has ended leaves behind: what it counted, not what it had at that moment."""
    return tuple(one for one in counts if one.kind != "gauge")


def added(several: Iterable[Counts]) -> Counts:
    """The sums, each sample once, in the order of their first appearance."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], Counted] = {}
    for counts in several:
        for one in counts:
            earlier = found.get((one.name, one.labels))
            if earlier is not None:
                created = one.name.endswith(_CREATED)
                both = (earlier.value, one.value)
                one = one._replace(value=min(both) if created else sum(both))  # noqa: PLW2901 - the same sample, added up
            found[one.name, one.labels] = one
    return tuple(found.values())


def with_others(families: Iterable[Metric], others: Counts) -> Iterator[Metric]:
    """Our own families with what other processes counted added to them."""
    for family in families:
        theirs = tuple(one for one in others if one.family == family.name)
        whole = Metric(family.name, family.documentation, family.type, family.unit)
        whole.samples = [
            Sample(one.name, dict(one.labels), one.value) for one in added((counts_of((family,)), theirs))
        ]
        yield whole
