"""Figures for Prometheus: how fast the loop is, how old the links are, what did not count."""

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.status.operator import Heard
from server.status.shapes import Generation, Standing

Values = dict[Any, float]
"""Figures by the values of their labels, in the order of the labels."""
STATES = ("waiting", "running", "paused", "suspended", "ending", "ended")


def exposition(session: str, now: Standing, last: dict[int, Generation], heard: Heard | None, visitors: int) -> bytes:
    """Return the figures of the session that is running, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(session, now, last, heard, visitors))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(
        self, session: str, now: Standing, last: dict[int, Generation], heard: Heard | None, visitors: int
    ) -> None:
        self.session, self.now, self.last, self.heard, self.visitors = session, now, last, heard, visitors

    def collect(self) -> Iterator[Metric]:
        yield from self._session()
        yield from self._generations()
        yield from self._links()
        yield _gauge("page_visitors", "Open streams of the status page", {(): float(self.visitors)})

    def _session(self) -> Iterator[Metric]:
        states = {(self.session, state): float(state == self.now.state) for state in STATES}
        yield _gauge("state", "1 for the state that the session is in", states, "session", "state")
        for name, value in (("shown", self.now.shown), ("measured", self.now.measured)):
            yield _counter(f"presentations_{name}", f"Presentations {name}", {(): float(value)})
        voids = {(cause,): float(n) for cause, n in self.now.voids.items()}
        yield _counter("presentations_void", "Presentations that do not count", voids, "cause")
        yield _gauge("presentations_owed", "Presentations still owed", {(): float(self.now.debt)})
        yield _gauge("trials_queued", "Trials waiting at the display", {(): float(len(self.now.trials))})

    def _generations(self) -> Iterator[Metric]:
        done = {(str(number),): float(each.generation) for number, each in self.last.items()}
        yield _gauge("generation", "Last generation scored", done, "evolution")
        dead = {(str(each.evolution),): dead_s for each in self.now.open if (dead_s := self._dead_s(each)) is not None}
        yield _gauge("dead_time_seconds", "From a generation's last response to the next trial", dead, "evolution")

    def _dead_s(self, each: Generation) -> float | None:
        before = self.last.get(each.evolution)
        if before is None or before.last_received_at is None or each.first_sent_at is None:
            return None
        return each.first_sent_at - before.last_received_at

    def _links(self) -> Iterator[Metric]:
        ages = {(link.role,): self.now.now - link.heard_at for link in self.now.links if link.heard_at is not None}
        yield _gauge("link_age_seconds", "Since it was heard last", ages, "link")
        if self.heard is None:
            return
        vitals = self.heard.vitals
        yield _gauge("commit_seconds", "How long the last commit took", {(): vitals.commit_s})
        yield _gauge("waiting_jobs", "Jobs that the worker has not come to", {(): float(vitals.n_waiting)})
        yield _counter("messages_dropped", "Messages that were none, or made no sense", {(): float(vitals.n_dropped)})


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(f"xdream_{name}", text, labels=labels), values)


def _counter(name: str, text: str, values: Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(f"xdream_{name}", text, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Values) -> Metric:
    for labels, value in values.items():
        family.add_metric(list(labels), value)
    return family
