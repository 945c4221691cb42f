"""hf, s3 and gs addresses, each against a real HTTP endpoint on loopback."""

from __future__ import annotations

import hashlib
import json
import random
import socket
from collections.abc import Iterator

import pytest

from kelp.weights import WeightsError, fetch

CONTENT = random.Random(2).randbytes(2_500_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


def test_hf_uses_the_resolve_endpoint_and_the_token(tmp_path, make_card, file_server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", file_server.url + "/")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    file_server.files["/reef-lab/corals/resolve/v2/onnx/best.onnx"] = CONTENT
    got = fetch(make_card("hf://reef-lab/corals:v2/onnx/best.onnx", SHA), tmp_path)["model"]
    assert got.read_bytes() == CONTENT
    assert file_server.seen[0].headers["Authorization"] == "Bearer hf_secret"


def test_hf_defaults_to_main_and_takes_several_files(tmp_path, make_card, file_server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", file_server.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    file_server.files["/lab/corals/resolve/main/a.pt"] = CONTENT
    card = make_card("hf://lab/corals", files={"model": {"file": "a.pt", "sha256": SHA}})
    assert fetch(card, tmp_path)["model"].read_bytes() == CONTENT


def test_an_hf_address_without_a_file_says_what_is_expected(tmp_path, make_card):
    with pytest.raises(WeightsError, match=r"expected hf://organisation/repository"):
        fetch(make_card("hf://lab/corals", SHA), tmp_path)


def test_gs_reads_through_its_endpoint(tmp_path, make_card, file_server, monkeypatch):
    account = {"gcs_base_url": file_server.url, "disable_oauth": True, "client_email": "", "private_key": ""}
    key = tmp_path / "account.json"
    key.write_text(json.dumps({**account, "private_key_id": ""}))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(key))
    file_server.files["/corals/v1/best.onnx"] = CONTENT
    assert fetch(make_card("gs://corals/v1/best.onnx", SHA), tmp_path)["model"].read_bytes() == CONTENT


@pytest.fixture
def bucket(monkeypatch) -> Iterator[object]:
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reef")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "reef")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    client.create_bucket(Bucket="corals")
    yield client
    server.stop()


def test_s3_is_fetched_resumed_and_verified(tmp_path, make_card, bucket):
    bucket.put_object(Bucket="corals", Key="v1/best model.onnx", Body=CONTENT)
    card = make_card("s3://corals/v1", files={"model": {"file": "best model.onnx", "sha256": SHA}})
    begun: list[int] = []

    def stop_half_way(name: str, done: int, total: int | None) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(card, tmp_path, stop_half_way)
    got = fetch(card, tmp_path, lambda name, done, total: begun.append(done))["model"]
    assert got.read_bytes() == CONTENT
    assert begun[0] > 1_000_000


def test_s3_object_that_changed_meanwhile_is_not_mixed(tmp_path, make_card, bucket):
    bucket.put_object(Bucket="corals", Key="best.onnx", Body=bytes(len(CONTENT)))
    card = make_card("s3://corals/best.onnx")

    def stop_half_way(name: str, done: int, total: int | None) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(card, tmp_path, stop_half_way)
    bucket.put_object(Bucket="corals", Key="best.onnx", Body=CONTENT)
    assert fetch(card, tmp_path)["model"].read_bytes() == CONTENT


def test_s3_without_the_object_says_so(tmp_path, make_card, bucket):
    with pytest.raises(WeightsError, match=r"s3://corals/none\.onnx: no such file"):
        fetch(make_card("s3://corals/none.onnx", SHA), tmp_path)
