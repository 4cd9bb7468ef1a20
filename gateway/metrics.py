"""Prometheus metrics. Counters are fed by effects; gauges are read from their owners when somebody scrapes."""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tongpin.channels import effects as e

Gauges = Callable[[], Iterable[tuple[str, str, dict[str, str], float]]]
"""(name, help, labels, value) of everything that is read at scrape time."""


class Metrics(Collector):
    """Implements ``EffectHandler``."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges
        self._registry = CollectorRegistry()
        self._grants = Counter("tongpin_floor_grants", "Floors granted", ["origin"], registry=self._registry)
        self._denials = Counter("tongpin_floor_denials", "Floors refused", ["cause"], registry=self._registry)
        self._releases = Counter("tongpin_floor_releases", "Talks ended", ["cause"], registry=self._registry)
        self._lag = Histogram(
            "tongpin_loop_lag_seconds",
            "How late the event loop woke for a 100 ms timer",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
            registry=self._registry,
        )
        self._registry.register(self)

    def __call__(self, effect: e.Effect, now: float) -> None:
        match effect:
            case e.FloorGranted():
                self._grants.labels(effect.origin.value).inc()
            case e.FloorDenied():
                self._denials.labels(effect.cause.value).inc()
            case e.FloorReleased():
                self._releases.labels(effect.cause.value).inc()
            case _:
                pass

    async def run(self) -> None:
        """Measure the loop's lag. Ends by cancellation."""
        while True:
            due = monotonic() + 0.1
            await asyncio.sleep(0.1)
            self._lag.observe(max(0.0, monotonic() - due))

    def collect(self) -> Iterable[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for name, text, labels, value in self._gauges():
            family = families.get(name)
            if family is None:
                family = families[name] = GaugeMetricFamily(name, text, labels=list(labels))
            family.add_metric(list(labels.values()), value)
        return families.values()

    def text(self) -> bytes:
        return generate_latest(self._registry)
