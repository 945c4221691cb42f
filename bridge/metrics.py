"""The bridge's metrics, by the names of its docs and dashboards."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
SHAPES_WRITTEN = Counter("kelp_shapes_written", "Shapes that CVAT confirmed", registry=REGISTRY)
COLD_START = Histogram(
    "kelp_cold_start_seconds",
    "How long a run waited for its model to start",
    ["model"],
    buckets=(0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600),
    registry=REGISTRY,
)
CVAT_REQUESTS = Counter(
    "kelp_cvat_requests", "Requests to CVAT by status; `none`: no answer", ["code"], registry=REGISTRY
)


def exposition() -> bytes:
    """Prometheus' text format."""
    return generate_latest(REGISTRY)
