"""The bridge's metrics, by the names of its docs and dashboards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.models.source import ModelFacts
from bridge.store.tables import FINISHED
from kelp.card.metadata import State

REGISTRY = CollectorRegistry()

WEBHOOKS = Counter("kelp_webhooks", "Deliveries received", ["kind", "outcome"], registry=REGISTRY)
RUNS = Gauge("kelp_runs", "Runs in the database", ["state"], registry=REGISTRY)
RUN_DURATION = Histogram(
    "kelp_run_duration_seconds",
    "From a run's start to its end",
    ["kind"],
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400),
    registry=REGISTRY,
)
RUNS_ENDED = Counter("kelp_runs_ended", "Attempts of runs that ended, by how", ["kind", "state"], registry=REGISTRY)
QUEUE_AGE = Gauge(
    "kelp_queue_age_seconds",
    "For how long the first of the queue has waited for its turn; `interactive`: single jobs, `batch`: the others",
    ["priority"],
    registry=REGISTRY,
)
SHAPES_WRITTEN = Counter("kelp_shapes_written", "Shapes that CVAT confirmed", registry=REGISTRY)
COLD_START = Histogram(
    "kelp_cold_start_seconds",
    "How long a run waited for its model to start",
    ["model"],
    buckets=(0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600),
    registry=REGISTRY,
)
CAUGHT_UP = Counter("kelp_deliveries_caught_up", "Missed deliveries that became runs after all", registry=REGISTRY)
RECONCILED = Gauge(
    "kelp_reconciled_timestamp_seconds",
    "When CVAT's delivery lists were last read, or the bridge began; 0: KELP_PUBLIC_URL is not set",
    registry=REGISTRY,
)
CVAT_REQUESTS = Counter(
    "kelp_cvat_requests", "Requests to CVAT by status; `none`: no answer", ["code"], registry=REGISTRY
)

# A counter that is not there yet cannot be seen to rise: its first event would be lost.
for _kind in ("detect", "crop", "remove-grid"):
    for _state in FINISHED:
        RUNS_ENDED.labels(_kind, _state)
    for _outcome in ("accepted", "repeated", "ignored", "pong"):
        WEBHOOKS.labels(_kind, _outcome)


class _Models(Collector):
    facts: Callable[[], Iterable[ModelFacts]] = staticmethod(lambda: ())

    def collect(self) -> Iterable[Metric]:
        gpus = GaugeMetricFamily(
            "kelp_model_gpus", "GPUs, or MIG slices, that a replica holds, by the card", labels=["model"]
        )
        least = GaugeMetricFamily("kelp_model_min_replicas", "Replicas that never sleep, by the card", labels=["model"])
        states = GaugeMetricFamily("kelp_model_state", "1 for the state that a model is in", labels=["model", "state"])
        for model in self.facts():
            COLD_START.labels(model.name)  # there from the beginning, as above
            if model.gpus is not None:
                gpus.add_metric([model.name], model.gpus)
                least.add_metric([model.name], model.min_replicas)
            for state in get_args(State):
                states.add_metric([model.name, state], float(state == model.state))
        return gpus, least, states


_MODELS = _Models()
REGISTRY.register(_MODELS)


def tell_models(facts: Callable[[], Iterable[ModelFacts]]) -> None:
    """From now on what `facts` gives is told with every scrape."""
    _MODELS.facts = facts


def exposition() -> bytes:
    """Prometheus' text format."""
    return generate_latest(REGISTRY)
