"""What Prometheus reads must be in its format and under the names that dashboards use."""

from __future__ import annotations

import threading

import httpx
import pytest

from predictors.serving.exposition import CONTENT_TYPE, Counter, Gauge, Histogram, render
from tests.serving.wire import body, picture, png

NAMES = {
    "kelp_requests": {"model", "protocol", "code"},
    "kelp_request_duration_seconds": {"model"},
    "kelp_phase_duration_seconds": {"model", "phase"},
    "kelp_batch_size": set(),
    "kelp_queue_depth": set(),
    "kelp_rejected": {"reason"},
}
PHASES = {"decode", "queue", "preprocess", "predict", "postprocess", "encode"}


def parsed(text: str) -> dict[str, list]:
    parser = pytest.importorskip("prometheus_client.parser")
    return {family.name: family.samples for family in parser.text_string_to_metric_families(text)}


def test_names_labels_and_phases(server):
    httpx.post(server.infer_url, json=body(png(picture())))
    httpx.post(server.infer_url, json=body(b"no image"))
    response = server.get("/metrics")
    assert response.headers["content-type"] == CONTENT_TYPE
    families = parsed(response.text)
    for name, labels in NAMES.items():
        assert families[name], name
        assert {frozenset(sample.labels) - {"le"} for sample in families[name]} == {frozenset(labels)}
    phases = families["kelp_phase_duration_seconds"]
    assert {sample.labels["phase"] for sample in phases if sample.name.endswith("_count")} == PHASES
    codes = {sample.labels["code"]: sample.value for sample in families["kelp_requests"]}
    assert codes["200"] >= 1
    assert codes["400"] >= 1


def test_health_is_no_request(server):
    before = server.metric("kelp_requests_total")
    server.get("/v2/health/ready")
    server.get("/nope")
    assert server.metric("kelp_requests_total") == before


def test_the_text_format():
    counter = Counter("c_total", "a counter", ("path",))
    counter.add('a "quoted" \\ path\n', amount=2)
    histogram = Histogram("h_seconds", "a histogram", (0.1, 1.0), ("kind",))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value, "x")
    gauge = Gauge("g", "a gauge", lambda: [((), 1.5)])
    families = parsed(render([counter, histogram, gauge]).decode())
    (sample,) = families["c"]
    assert sample.labels == {"path": 'a "quoted" \\ path\n'}
    assert sample.value == 2
    buckets = {float(s.labels["le"]): s.value for s in families["h_seconds"] if s.name == "h_seconds_bucket"}
    assert buckets == {0.1: 2, 1.0: 3, float("inf"): 4}
    assert {s.name: s.value for s in families["h_seconds"] if not s.name.endswith("bucket")} == {
        "h_seconds_sum": pytest.approx(7.65),
        "h_seconds_count": 4,
    }
    assert families["g"][0].value == 1.5


def test_metrics_without_labels_exist_from_the_start():
    families = parsed(render([Counter("c_total", "c"), Histogram("h", "h", (1,))]).decode())
    assert families["c"][0].value == 0
    assert {s.value for s in families["h"]} == {0}


def test_nothing_is_lost_between_threads():
    counter, histogram = Counter("c_total", "c", ("x",)), Histogram("h", "h", (1,))

    def work():
        for _ in range(2000):
            counter.add("y")
            histogram.observe(0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    families = parsed(render([counter, histogram]).decode())
    assert families["c"][0].value == 8000
    assert {s.value for s in families["h"] if s.name == "h_count"} == {8000}
