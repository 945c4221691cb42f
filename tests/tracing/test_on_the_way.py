"""The trace goes over both protocols and through `kelp up`; off, nothing of it is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kelp import tracing
from kelp.client import Client, ClientConfig, GrpcClient
from kelp.codec import InferRequest, Tensor, encode_request
from kelp.errors import InvalidRequest
from tests.bridge.reef import pngs
from tests.local.conftest import Up, starter, write_card
from tests.support.otlp import Collector
from tests.support.predictor import NUMPY_RUNTIME, ROOT, wait_for

CLIENTS = {"rest": Client, "grpc": GrpcClient}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    write_card(folder / "models", "reef")
    with starter(folder) as start:
        yield start([sys.executable, "-m", "kelp.cli", "up", "--no-bridge"], **NUMPY_RUNTIME, **collector.env)


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in collector.env.items():
        monkeypatch.setenv(name, value)
    assert tracing.start("caller") is None
    yield
    tracing.stop()


@pytest.mark.parametrize("protocol", CLIENTS)
def test_a_call_through_kelp_up_is_one_trace(up: Up, collector: Collector, traced: None, protocol: str) -> None:
    url = up.url if protocol == "rest" else f"127.0.0.1:{up.grpc_port}"
    with CLIENTS[protocol](ClientConfig(url)) as client, tracing.span(protocol):
        client.detect("reef", pngs(2))
        with pytest.raises(InvalidRequest):
            client.detect("reef", pngs(1), parameters={"no_such_setting": 1})
    (above,) = collector.wait(protocol)
    answered, refused = sorted(
        (s for s in collector.wait("V2 infer reef", 2) if s.trace == above.trace), key=lambda span: span.started
    )
    served = {s.parent: s for s in collector.wait("infer reef", 2, kelp_protocol=protocol)}
    assert {answered.parent, refused.parent} == {above.id}
    good, bad = served[answered.id], served[refused.id]
    assert (good.trace, good.attributes["kelp.images"], good.failed) == (above.trace, 2, False)
    assert (bad.trace, bad.attributes["error.type"], bad.failed) == (above.trace, "unknown_parameter", True)


def test_who_is_not_to_be_traced_is_not(up: Up, collector: Collector) -> None:
    """The last digits of a traceparent say whether its trace is recorded."""
    body, headers = encode_request(InferRequest("reef", inputs=(Tensor.from_bytes("image", pngs(1)),)))
    for trace, flags in (("12" * 16, "00"), ("56" * 16, "01")):
        traceparent = f"00-{trace}-{'34' * 8}-{flags}"
        up.http.post("/v2/models/reef/infer", content=b"".join(body), headers={**headers, "traceparent": traceparent})
    wait_for(lambda: any(span.trace == "56" * 16 for span in collector.spans))
    assert not [span for span in collector.spans if span.trace == "12" * 16]


@pytest.mark.parametrize("module", ["predictors.serving.process", "predictors.serving.grpc_edge", "kelp.client.rest"])
def test_while_it_is_off_nothing_of_it_is_imported(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "from kelp import tracing\n"
        "assert tracing.start('x') is None\n"
        "with tracing.span('x'): assert tracing.traceparent() is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60, env={"PATH": "/usr/bin"})


def test_without_the_package_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ModuleNotFoundError(name='opentelemetry')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom kelp import tracing\nprint(tracing.start('x'))"
    env = {"PATH": "/usr/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert "opentelemetry is not installed (extra `tracing`)" in told.stdout
