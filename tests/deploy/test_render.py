"""A card on a cluster: what its fields become, what a change of it rolls, and what no cluster can have."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelp.card import Card, parse_card
from kelp.deploy import Images, RenderOptions, deployed_weights, render
from kelp.deploy.scaling import idle_seconds
from kelp.errors import InvalidRequest, KelpError

OPTIONS = RenderOptions(storage="s3://bucket/weights")
SHA = "a" * 64
SMALL = f"""
name: corals
runtime: yolo
task: segment
weights: {{uri: /models/best.pt, sha256: {SHA}}}
labels: [{{name: Acropora, color: "#ff0000"}}]
"""


def card(lines: str = "") -> Card:
    return parse_card(SMALL + lines)


def service(given: Card, options: RenderOptions = OPTIONS) -> dict[str, Any]:
    return render(given, options)[1]


def predictor(lines: str = "", options: RenderOptions = OPTIONS) -> dict[str, Any]:
    found: dict[str, Any] = service(card(lines), options)["spec"]["predictor"]
    return found


def env_of(found: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in found["model"]["env"]}


@pytest.mark.parametrize(
    "line",
    [
        "title: Corals",
        "description: all of them",
        "quality: {f1: 0.9}",
        "cvat: {help_message: Outlines corals}",
    ],
)
def test_what_only_people_read_rolls_nothing(line: str) -> None:
    before, after = render(card(), OPTIONS), render(card(line), OPTIONS)
    assert after[1] == before[1]
    assert after[0] != before[0]


def test_another_colour_of_a_label_rolls_nothing() -> None:
    other = parse_card(SMALL.replace("#ff0000", "#00ff00"))
    assert service(other) == service(card())


@pytest.mark.parametrize(
    "line", ["settings: {conf_threshold: 0.4}", "batch: {max_images: 4}", "limits: {queue_requests: 8}"]
)
def test_what_the_predictor_reads_rolls_it(line: str) -> None:
    assert service(card(line))["spec"] != service(card())["spec"]


def test_the_predictor_can_read_what_it_is_given() -> None:
    given = card("settings: {conf_threshold: 0.4}\ngrid_shape: [9, 13]")
    text = env_of(service(given)["spec"]["predictor"])["KELP_CARD_JSON"]
    served = parse_card(text)
    assert (served.name, served.settings, served.grid_shape) == ("corals", {"conf_threshold": 0.4}, (9, 13))
    assert served.label_names() == ["Acropora"]
    assert served.weights.files["model"].file == "best.pt"
    assert served.weights.files["model"].sha256 == SHA
    # Its own container's limits count there, not a card's defaults.
    assert served.resources.limits.cpu is None


def test_the_card_beside_it_is_the_whole_card() -> None:
    config_map = render(card("title: Corals"), OPTIONS)[0]
    kept = parse_card(config_map["data"]["card.yaml"])
    assert kept.title == "Corals"
    assert kept.labels[0].color == "#ff0000"
    assert service(card())["metadata"]["annotations"]["kelp.dev/card"] == config_map["metadata"]["name"]


def test_weights_of_this_machine_go_to_a_folder_named_by_their_content() -> None:
    deployed = deployed_weights(card(), OPTIONS)
    assert deployed.manifest is not None
    assert json.loads(deployed.manifest) == {"model": {"file": "best.pt", "sha256": SHA}}
    folder = hashlib.sha256(deployed.manifest).hexdigest()
    assert predictor()["model"]["storageUri"] == f"s3://bucket/weights/{folder}"


def test_the_folder_is_the_one_that_an_upload_makes(tmp_path: Path) -> None:
    bundle = pytest.importorskip("kelp.deploy.cluster.bundle")
    (tmp_path / "best.pt").write_bytes(b"weights")
    given = parse_card(f"name: corals\nruntime: yolo\ntask: segment\nweights: {{uri: {tmp_path}/best.pt}}")
    deployed, sent = deployed_weights(given, OPTIONS), bundle.bundle_of(given)
    assert deployed.manifest == sent.manifest
    assert deployed.weights == sent.weights_at("s3://bucket/weights")


@pytest.mark.parametrize(
    ("uri", "storage", "file"),
    [
        ("s3://bucket/folder/best.pt", "s3://bucket/folder/best.pt", "best.pt"),
        ("gs://bucket/best.onnx", "gs://bucket/best.onnx", "best.onnx"),
        # KServe mounts a folder of a claim, and fetches a whole repository of a hub.
        ("pvc://claim/folder/best.pt", "pvc://claim/folder", "best.pt"),
        ("hf://reef/corals:v1/weights/best.pt", "hf://reef/corals:v1", "weights/best.pt"),
    ],
)
def test_weights_that_lie_remote_are_taken_from_there(uri: str, storage: str, file: str) -> None:
    given = parse_card(f"name: corals\nruntime: yolo\ntask: segment\nweights: {{uri: '{uri}', sha256: {SHA}}}")
    found = service(given, RenderOptions())["spec"]["predictor"]["model"]
    assert found["storageUri"] == storage
    served = json.loads({e["name"]: e["value"] for e in found["env"]}["KELP_CARD_JSON"])
    assert served["weights"]["files"]["model"] == {"file": file, "sha256": SHA}


def test_the_file_decides_the_engine_and_only_torch_gets_the_gpu() -> None:
    line = "resources: {limits: {nvidia.com/gpu: 1}}"
    torch = predictor(line)["model"]
    onnx = service(parse_card(SMALL.replace("best.pt", "best.onnx") + line))["spec"]["predictor"]["model"]
    assert (torch["runtime"], onnx["runtime"]) == ("kelp-yolo", "kelp-yolo-onnx")
    assert torch["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert torch["resources"]["requests"]["nvidia.com/gpu"] == "1"
    assert not [key for kind in onnx["resources"].values() for key in kind if "nvidia" in key]


def test_a_cluster_without_gpus_gets_cpu_variants() -> None:
    found = predictor("resources: {limits: {nvidia.com/gpu: 1}}", OPTIONS.model_copy(update={"gpu": False}))
    assert "nvidia.com/gpu" not in found["model"]["resources"]["limits"]
    assert json.loads(env_of(found)["KELP_CARD_JSON"])["device"] == "cpu"


def test_slices_of_a_gpu() -> None:
    found = predictor("resources: {limits: {mig: {1g.10gb: 1}}}")["model"]["resources"]
    assert found["limits"]["nvidia.com/mig-1g.10gb"] == found["requests"]["nvidia.com/mig-1g.10gb"] == "1"


def test_a_default_request_never_exceeds_the_limit() -> None:
    found = predictor("resources: {limits: {cpu: 500m, memory: 1Gi}}")["model"]["resources"]
    assert found == {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "1Gi"}}


def test_both_protocols() -> None:
    rest, grpc = predictor()["model"], predictor("protocol: grpc")["model"]
    assert (rest["ports"][0]["name"], rest["ports"][0]["containerPort"], rest["protocolVersion"]) == (
        "http1",
        8080,
        "v2",
    )
    assert (grpc["ports"][0]["name"], grpc["ports"][0]["containerPort"], grpc["protocolVersion"]) == (
        "h2c",
        8081,
        "grpc-v2",
    )
    # Knative sends an HTTP probe to the one port it knows, which speaks gRPC there.
    assert all("grpc" in grpc[probe] for probe in ("readinessProbe", "livenessProbe"))


def test_an_install_starts_no_pod_and_a_slow_start_is_waited_for() -> None:
    notes = service(card("start_timeout: 900"))["metadata"]["annotations"]
    assert notes["autoscaling.knative.dev/initial-scale"] == "0"
    assert int(notes["serving.knative.dev/progress-deadline"].removesuffix("s")) > 900


@pytest.mark.parametrize("retention", [0, 6, 10, 45, 60, 61, 300, 3600])
@pytest.mark.parametrize("most", [1, 4])
def test_an_idle_replica_is_kept_as_long_as_the_card_says(retention: int, most: int) -> None:
    window, delay, kept = idle_seconds(card(f"scale: {{retention: {retention}, max: {most}}}"))
    assert window + delay + kept == max(retention, 6)
    assert 6 <= window <= 60  # Knative's shortest; its default
    assert min(delay, kept) >= 0


def test_the_activator_waits_for_a_start_and_the_request() -> None:
    assert predictor("start_timeout: 120\nlimits: {request_seconds: 60, queue_seconds: 10}")["timeout"] == 190
    # Knative refuses a revision above its maximum.
    assert predictor("start_timeout: 900")["timeout"] == 600
    assert predictor("start_timeout: 900", OPTIONS.model_copy(update={"max_timeout": 1200}))["timeout"] == 940


def test_concurrency_lets_batches_form() -> None:
    found = service(card())
    notes = found["metadata"]["annotations"]
    assert notes["autoscaling.knative.dev/metric"] == "concurrency"
    aimed = float(notes["autoscaling.knative.dev/target"]) * float(
        notes["autoscaling.knative.dev/target-utilization-percentage"]
    )
    assert aimed / 100 > card().batch.max_images
    assert found["spec"]["predictor"]["containerConcurrency"] == card().scale.concurrency


@pytest.mark.parametrize(("percent", "rendered"), [(20, 20), (0, 0), (100, None), (None, None)])
def test_a_canary(percent: int | None, rendered: int | None) -> None:
    line = "" if percent is None else f"canary_percent: {percent}"
    assert predictor(line).get("canaryTrafficPercent") == rendered


def test_two_versions_are_two_models() -> None:
    assert service(card("version: v2"))["metadata"]["name"] == "corals-v2"


def test_scheduling() -> None:
    found = predictor(
        "scheduling: {node_selector: {gpu: a100}, runtime_class: nvidia, priority_class: high, tolerations: "
        "[{key: gpu, operator: Exists, effect: NoExecute, seconds: 60}]}"
    )
    assert found["nodeSelector"] == {"gpu": "a100"}
    assert found["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    ]
    assert (found["runtimeClassName"], found["priorityClassName"]) == ("nvidia", "high")


def test_outside_of_the_cluster_only_where_asked_for_and_through_one_host() -> None:
    outside = OPTIONS.model_copy(update={"expose_host": "models.example.com", "expose_gateway": "istio-system/models"})
    assert len(render(card(), outside)) == 2
    way = render(card("expose: true"), outside)[2]
    assert way["spec"]["hosts"] == ["models.example.com"]
    # A name that begins alike is another model.
    assert [m["uri"] for m in way["spec"]["http"][0]["match"]] == [
        {"exact": "/v2/models/corals"},
        {"prefix": "/v2/models/corals/"},
    ]
    for given in (card(), card("expose: true")):
        assert service(given, outside)["metadata"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"


@pytest.mark.parametrize(
    ("given", "options", "says"),
    [
        (card("version: v-" + "2" * 10).model_copy(update={"name": "9corals"}), OPTIONS, "begins with a letter"),
        (card().model_copy(update={"name": "c" * 54}), OPTIONS, "at most 53 characters"),
        (card().model_copy(update={"name": "bridge"}), OPTIONS, "the bridge's Service has it"),
        (card(), RenderOptions(), "no storage of the cluster is named"),
        (
            card().model_copy(update={"runtime": "reef"}),
            OPTIONS,
            "runtime: 'reef' has no image; there are: coralscop, grid, lama, yolo",
        ),
        (card("limits: {request_seconds: 700}"), OPTIONS, "max-revision-timeout-seconds"),
        (card("expose: true"), OPTIONS, "network.expose.host"),
        (card("resources: {requests: {cpu: 8}}"), OPTIONS, "it requests 8 of cpu, and its limit is 4"),
        (
            card("resources: {requests: {nvidia.com/gpu: 1}, limits: {nvidia.com/gpu: 2}}"),
            OPTIONS,
            "GPUs are requested as they are limited",
        ),
    ],
)
def test_what_no_cluster_can_have(given: Card, options: RenderOptions, says: str) -> None:
    with pytest.raises(KelpError, match=says):
        render(given, options)


def test_mig_and_whole_gpus_exclude_each_other() -> None:
    with pytest.raises(InvalidRequest, match=r"either nvidia\.com/gpu or mig"):
        card("resources: {limits: {nvidia.com/gpu: 1, mig: {1g.10gb: 1}}}")


def test_images_by_prefix_tag_and_digest() -> None:
    images = Images(prefix="registry.example.com/kelp/", tag="1.2", digests={"kelp-yolo": "sha256:" + SHA})
    assert images.of("kelp-bridge") == "registry.example.com/kelp/kelp-bridge:1.2"
    assert images.of("kelp-yolo") == f"registry.example.com/kelp/kelp-yolo@sha256:{SHA}"


def test_rendering_is_the_same_each_time_and_plain_data() -> None:
    first = yaml.safe_dump_all(render(card(), OPTIONS))
    assert first == yaml.safe_dump_all(render(card(), OPTIONS))
