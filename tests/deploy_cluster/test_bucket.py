"""Weights into a bucket, against a real S3 server on loopback."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kelp.card import Card, Weights, load_card
from kelp.deploy.cluster.bundle import Bundle, bundle_of
from kelp.deploy.cluster.multipart import PART, Keys, signed_headers
from kelp.deploy.cluster.platform import Storage
from kelp.errors import KelpError, NotFound, Unreachable

pytest.importorskip("obstore")
boto3 = pytest.importorskip("boto3")

from kelp.deploy.cluster.bucket import Bucket  # noqa: E402 - wants the extra

BASE = "s3://corals/weights"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint, monkeypatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="reef", aws_secret_access_key="reef", region_name="us-east-1"
    )
    client.create_bucket(Bucket="corals")
    return client


@pytest.fixture
def bucket(endpoint, s3) -> Bucket:
    return Bucket(BASE, Storage(external_endpoint=endpoint, endpoint="http://none.invalid"), inside=False,
                  keys=("reef", "reef"))  # fmt: skip


def card(uri: Path, **more: Any) -> Card:
    return Card(name="reef", runtime="yolo", task="segment", weights=Weights(uri=str(uri), **more))


def bundle(tmp_path: Path, size: int, seed: int) -> Bundle:
    path = tmp_path / "best model.onnx"
    path.write_bytes(random.Random(seed).randbytes(size))
    return bundle_of(card(path))


def content(s3: Any, sent: Bundle, name: str) -> bytes:
    return s3.get_object(Bucket="corals", Key=f"weights/{sent.sha256}/{name}")["Body"].read()


def test_files_and_manifest_arrive_under_the_manifests_sha256(tmp_path, s3, bucket):
    sent = bundle(tmp_path, 3_000_000, 1)
    told: list[int] = []
    bucket.upload(sent, told.append)
    assert content(s3, sent, "best model.onnx") == sent.files[0].path.read_bytes()
    assert content(s3, sent, "kelp-weights.json") == sent.manifest
    assert sum(told) == 3_000_000


def test_what_is_there_is_not_sent_again(tmp_path, s3, bucket):
    sent = bundle(tmp_path, 2_000_000, 2)
    bucket.upload(sent, lambda _: None)
    assert bucket.missing(sent) == []
    sent.files[0].path.unlink()  # so that nothing could be read to be sent
    told: list[int] = []
    bucket.upload(sent, told.append)
    assert told == [2_000_000]


def test_a_large_file_goes_on_where_it_broke_off(tmp_path, s3, bucket):
    sent = bundle(tmp_path, 3 * PART + 1000, 3)

    class Gone(Exception):
        pass

    def leave(count: int, seen: list[int] = []) -> None:  # noqa: B006 - counts over the calls
        seen.append(count)
        if len(seen) == 2:
            raise Gone

    with pytest.raises(Gone):
        bucket.upload(sent, leave)
    (unfinished,) = s3.list_multipart_uploads(Bucket="corals")["Uploads"]
    parts = s3.list_parts(Bucket="corals", Key=unfinished["Key"], UploadId=unfinished["UploadId"])["Parts"]
    before = {part["PartNumber"]: part["LastModified"] for part in parts}
    assert set(before) == {1, 2}

    sending: list[str] = []
    sent_before = bucket._multipart._http.request
    bucket._multipart._http.request = lambda method, url, **more: (
        (sending.append(url) if method == "PUT" else None) or sent_before(method, url, **more)
    )
    bucket.upload(sent, lambda _: None)
    assert ["partNumber=3" in sending[0], "partNumber=4" in sending[1], len(sending)] == [True, True, 2]
    assert content(s3, sent, "best model.onnx") == sent.files[0].path.read_bytes()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="corals")


def test_a_signature_is_that_of_amazons_own_example():
    # "Signature Calculations for the Authorization Header", Amazon S3 API reference, example GET Bucket Lifecycle.
    keys = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    when = datetime(2013, 5, 24, tzinfo=UTC)
    host = "examplebucket.s3.amazonaws.com"
    headers = signed_headers(keys, "us-east-1", "GET", host, "/", {"lifecycle": ""}, b"", when)
    signature = headers["authorization"].rpartition("=")[2]
    assert signature == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"


def test_an_upload_that_broke_before_its_manifest_is_completed(tmp_path, s3, bucket):
    sent = bundle(tmp_path, 1000, 4)
    s3.put_object(Bucket="corals", Key=f"weights/{sent.sha256}/best model.onnx", Body=b"half")
    bucket.upload(sent, lambda _: None)
    assert content(s3, sent, "best model.onnx") == sent.files[0].path.read_bytes()


@pytest.mark.parametrize("size", [1000, PART + 1])
def test_a_bucket_that_is_not_there_is_named(tmp_path, s3, endpoint, size):
    there = Bucket("s3://none-such/x", Storage(endpoint=endpoint), inside=True, keys=("reef", "reef"))
    with pytest.raises(NotFound, match="none-such"):
        there.upload(bundle(tmp_path, size, 5), lambda _: None)


def test_a_store_that_does_not_answer_is_told(tmp_path, s3):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        storage = Storage(endpoint=f"http://127.0.0.1:{probe.getsockname()[1]}")
        with pytest.raises(Unreachable, match="s3://corals/weights"):
            Bucket(BASE, storage, inside=True, keys=("a", "b")).upload(bundle(tmp_path, 10, 6), lambda _: None)


def test_the_same_files_have_the_same_folder_whatever_the_card_calls_them(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"reef")
    first = bundle_of(card(tmp_path / "a.onnx"))
    second = bundle_of(card(tmp_path, files={"model": {"file": "a.onnx"}}))
    assert first.sha256 == second.sha256
    assert first.weights_at(BASE).uri == f"{BASE}/{first.sha256}"


def test_a_folder_is_described_by_its_own_manifest(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"reef")
    made = bundle_of(card(tmp_path / "a.onnx"))
    (tmp_path / "kelp-weights.json").write_bytes(made.manifest)
    assert bundle_of(card(tmp_path)).sha256 == made.sha256


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("weights: {uri: none.onnx}", "no such file"),
        ("weights: {uri: a.onnx, sha256: '" + "0" * 64 + "'}", "wrong content: expected sha256 000"),
        ("weights: {uri: ., files: {model: {file: ../a.onnx}}}", "below the folder of the weights"),
    ],
)
def test_weights_that_cannot_be_sent_are_told(tmp_path, text, said):
    (tmp_path / "a.onnx").write_bytes(b"reef")
    path = tmp_path / "reef.yaml"
    path.write_text(f"name: reef\nruntime: yolo\ntask: segment\n{text}\n")
    with pytest.raises(KelpError, match=said):
        bundle_of(load_card(path))
