"""One webhook is one trace, from the bridge's door to the predictor's phases, whoever dies on the way."""

from __future__ import annotations

from pathlib import Path

from tests.bridge.reef import labels, pngs
from tests.support.bridge import BridgeProcess
from tests.support.cvat import SECRET, Cvat, CvatServer
from tests.support.otlp import Collector, Seen
from tests.support.predictor import Predictor

PHASES = {"decode", "queue", "preprocess", "predict", "postprocess", "encode"}
SERVER, CLIENT = 2, 3


def only(spans: list[Seen]) -> Seen:
    (span,) = spans
    return span


def test_a_webhook_is_one_trace(
    folder: Path, cvat_server: CvatServer, cvat: Cvat, collector: Collector, predictor: Predictor
) -> None:
    pictures = pngs(6)
    with BridgeProcess(folder, cvat=cvat_server, v2_url=predictor.url, env=collector.env) as bridge:
        project = cvat.project(labels())
        cvat.webhook(project, bridge.webhook_url(f"model_name={predictor.name}"))
        (job,) = cvat.task(project, pictures).jobs
        cvat.start(job)
        row = bridge.wait_run(job=job)
        run = only(collector.wait("run", kelp_run=row["id"]))
        webhook = only(collector.wait("webhook detect", kelp_run=row["id"]))
    asked = collector.wait(f"V2 infer {predictor.name}", 2)
    served = collector.wait(f"infer {predictor.name}", 2)
    trace = [span for span in collector.spans if span.trace == run.trace]
    by_id = {span.id: span for span in trace}

    assert (webhook.service, webhook.kind, webhook.parent, webhook.trace) == ("kelp-bridge", SERVER, "", run.trace)
    assert (run.parent, run.attributes["kelp.state"], run.failed) == (webhook.id, "completed", False)
    assert {span.trace for span in (*asked, *served)} == {run.trace}
    frames = [span for span in trace if span.name == "frames"]
    assert {span.parent for span in frames} == {run.id}
    assert sorted(number for span in frames for number in span.attributes["kelp.frames"]) == list(range(6))
    assert {by_id[span.parent].name for span in asked} == {"frames"}
    assert {span.kind for span in asked} == {CLIENT}
    assert {span.id for span in asked} == {span.parent for span in served}
    for span in served:
        assert (span.service, span.kind, span.attributes["http.response.status_code"]) == (
            "kelp-predictor",
            SERVER,
            200,
        )
        phases = [child for child in trace if child.parent == span.id]
        assert {child.name for child in phases} == PHASES
        assert all(span.started <= child.started <= child.ended <= span.ended for child in phases)
        began = {child.name: child.started for child in sorted(phases, key=lambda child: -child.started)}
        order = ("decode", "preprocess", "predict", "postprocess", "encode")
        assert [began[name] for name in order] == sorted(began[name] for name in order)
    children = {span.name for span in trace if span.parent == run.id}
    assert {"read", "annotate", "settle", "fetch frame", "frames", "write shapes"} <= children
    # Every span but the webhook's has its parent in the trace.
    assert [span.name for span in trace if span.parent not in by_id] == ["webhook detect"]

    told = collector.raw
    for secret in (SECRET, cvat_server.password, f"model_name={predictor.name}"):
        assert secret.encode() not in told
    assert not any(picture[100:132] in told for picture in pictures)


def test_a_run_that_outlives_its_bridge_stays_in_its_trace(
    folder: Path, cvat_server: CvatServer, cvat: Cvat, collector: Collector, predictor: Predictor
) -> None:
    project = cvat.project(labels())
    with BridgeProcess(folder, cvat=cvat_server, v2_url="http://127.0.0.1:9", env=collector.env) as first:
        cvat.webhook(project, first.webhook_url(f"model_name={predictor.name}"))
        (job,) = cvat.task(project, pngs(1)).jobs
        cvat.start(job)
        accepted = first.wait_log("boundary", at="run_claimed")["run"]
        webhook = only(collector.wait("webhook detect", kelp_run=accepted))
        first.kill()
    assert collector.named("run", kelp_run=accepted) == []
    with BridgeProcess(folder, cvat=cvat_server, v2_url=predictor.url, env=collector.env) as second:
        assert second.wait_run(accepted)["state"] == "completed"
        run = only(collector.wait("run", kelp_run=accepted))
    assert (run.trace, run.parent) == (webhook.trace, webhook.id)
    assert run.started < webhook.ended + 60e9
    frames = [span for span in collector.spans if span.name == "frames" and span.trace == run.trace]
    assert {span.parent for span in frames} == {run.id}


def test_a_refused_webhook_says_only_its_code(
    folder: Path, cvat_server: CvatServer, collector: Collector, predictor: Predictor
) -> None:
    with BridgeProcess(folder, cvat=cvat_server, v2_url=predictor.url, env=collector.env) as bridge:
        headers = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
        url = bridge.url + "/detect-model-webhook?model_name=x"
        assert bridge.http.post(url, content=b"{}", headers=headers).status_code == 401
        span = only(collector.wait("webhook detect", error_type="unauthorized"))
    assert (span.trace, span.parent, span.failed) == ("ab" * 16, "cd" * 8, True)


def test_a_collector_that_is_gone_stops_nothing(
    folder: Path, cvat_server: CvatServer, cvat: Cvat, tmp_path: Path
) -> None:
    env = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with (
        Predictor(tmp_path / "predictor", env=env) as predictor,
        BridgeProcess(folder, cvat=cvat_server, v2_url=predictor.url, env=env) as bridge,
    ):
        project = cvat.project(labels())
        cvat.webhook(project, bridge.webhook_url(f"model_name={predictor.name}"))
        (job,) = cvat.task(project, pngs(2)).jobs
        cvat.start(job)
        assert bridge.wait_run(job=job)["state"] == "completed"
        assert bridge.terminate(20) == 0
        predictor.process.terminate()
        assert predictor.process.wait(20) == 0
