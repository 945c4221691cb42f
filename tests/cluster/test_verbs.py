"""The command line's verbs on a real cluster: weights go up once, a model is called and changed, and says why not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelp.card import load_card
from kelp.deploy.cluster.access import access
from kelp.deploy.cluster.api import Cluster as Api
from kelp.deploy.cluster.bundle import bundle_of
from kelp.deploy.cluster.platform import read_platform
from kelp.deploy.cluster.volume import Volume
from tests.cluster.support import cards
from tests.cluster.support.cluster import Cluster
from tests.cluster.support.platform import Platform
from tests.cluster.support.shell import ROOT, CommandFailed

PICTURE = ROOT / "docs" / "assets" / "demo.jpg"
NAME = "reef"


@pytest.fixture(scope="module")
def installed(platform: Platform, folder: Path) -> Platform:
    """The chart's runtimes, storage and `kelp-platform`."""
    platform.install(folder)
    return platform


def kelp(platform: Platform, *arguments: str, check: bool = True) -> str:
    """Standard output; where `check` is off and it failed, standard error too."""
    return platform.kelp(*arguments, "--platform", "kube", check=check, timeout_s=400.0)


def listed(platform: Platform, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(kelp(platform, "get", "models", "-o", "json"))
    return next(model for model in found if model["name"] == name)


def test_a_model_is_deployed_with_weights_of_this_machine(installed: Platform, folder: Path) -> None:
    """`kelp deploy CARD`: local weights are sent to the platform's volume, the model becomes Ready and wakes."""
    file = cards.write(folder / "first", cards.card(NAME)) / f"{NAME}.yaml"
    installed.deploy(str(file))
    model = listed(installed, NAME)
    assert model["state"] in {"ready", "asleep"}
    assert model["weights"].endswith(bundle_of(load_card(file)).sha256)
    found = json.loads(kelp(installed, "invoke", NAME, "--image", str(PICTURE), "-o", "json"))
    assert len(found[0]["detections"]) > 10


def test_weights_that_are_there_are_not_sent_again_and_a_broken_upload_goes_on(
    installed: Platform, folder: Path
) -> None:
    """A large file whose upload broke off is resumed; the next time nothing of it is sent."""
    place = folder / "large"
    place.mkdir()
    (place / "large.bin").write_bytes(b"reef" * 4_000_000)
    (place / "large.yaml").write_text(
        yaml.safe_dump({"name": "large", "runtime": "yolo", "task": "segment", "weights": {"uri": "large.bin"}})
    )
    sent = bundle_of(load_card(place / "large.yaml"))
    api = Api(access(None, None, installed.ns))
    platform = read_platform(api)
    volume = Volume(api, platform.storage.uri, platform)

    class Broken(Exception):
        pass

    done = 0

    def break_off(count: int) -> None:
        nonlocal done
        done += count
        if done > 8_000_000:
            raise Broken

    with pytest.raises(Exception):  # noqa: B017 - whichever end sees it first
        volume.upload(sent, break_off)
    steps: list[int] = []
    volume.upload(sent, steps.append)
    assert sum(steps) == sent.size
    assert max(steps) > 1_000_000  # what the part held, in one step
    again: list[int] = []
    volume.upload(sent, again.append)
    assert again == [sent.size]


def test_settings_are_changed_and_taken_back(installed: Platform) -> None:
    """`kelp update --set`, then `--rollback`: the next answers follow each."""
    before = len(json.loads(kelp(installed, "invoke", NAME, "--image", str(PICTURE), "-o", "json"))[0]["detections"])
    kelp(installed, "update", NAME, "--set", "conf_threshold=0.8")
    strict = len(json.loads(kelp(installed, "invoke", NAME, "--image", str(PICTURE), "-o", "json"))[0]["detections"])
    assert strict < before
    kelp(installed, "update", NAME, "--rollback")
    after = len(json.loads(kelp(installed, "invoke", NAME, "--image", str(PICTURE), "-o", "json"))[0]["detections"])
    assert after == before


def test_logs_of_a_model_and_of_the_bridge(installed: Platform) -> None:
    """`kelp logs NAME` and `kelp logs bridge` print what their pods have logged, by level."""
    kelp(installed, "invoke", NAME, "--image", str(PICTURE))
    assert '"message":"infer"' in kelp(installed, "logs", NAME, "--tail", "50")
    assert '"message":"infer"' not in kelp(installed, "logs", NAME, "--tail", "50", "--level", "ERROR")
    assert kelp(installed, "logs", "bridge", "--tail", "20").strip()


def test_runs_of_the_bridge_are_listed_through_the_cluster(installed: Platform) -> None:
    """`kelp get runs` reaches the bridge of the namespace without an address of its own."""
    text = installed.cluster.shell.run(
        sys.executable, "-m", "kelp.cli", "get", "runs", "-n", installed.ns, "--platform", "kube", "-o", "json",
        env={"KELP_API_TOKEN": "api-token-for-tests"},
    )  # fmt: skip
    assert json.loads(text) == []


def test_client_and_server_versions(installed: Platform) -> None:
    """`kelp version` prints both, and Kubernetes'."""
    found = json.loads(kelp(installed, "version", "-o", "json"))
    assert found["client"] == found["platform"]
    assert found["kubernetes"].startswith("v1.")


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (
            "too-large",
            {"resources": {"requests": {"cpu": "500"}, "limits": {"cpu": "500", "memory": "1Gi"}}, "start_timeout": 10},
            "Insufficient cpu",
        ),
        (
            "out-of-memory",
            {"resources": {"requests": {"memory": "32Mi"}, "limits": {"cpu": "1", "memory": "48Mi"}}},
            "OOMKilled",
        ),
    ],
)
def test_a_model_that_cannot_start_says_why(
    installed: Platform, folder: Path, name: str, changes: dict[str, Any], said: str
) -> None:
    """`kelp deploy` ends with the reason: no node has room for it, its memory limit is too low."""
    file = cards.write(folder / name, cards.card(name, **changes))
    with pytest.raises(CommandFailed) as failed:
        installed.deploy(str(file))
    assert said in str(failed.value)
    kelp(installed, "delete", name, "--no-wait")


def test_a_folder_is_kept_as_it_is_given(installed: Platform, folder: Path) -> None:
    """`--prune --owner`: what the owner has no card for is removed, and nobody else's."""
    both = cards.write(folder / "both", cards.card("one"), cards.card("two"))
    installed.deploy(str(both), "--owner", "tests", "--no-wake")
    one = cards.write(folder / "one", cards.card("one"))
    installed.deploy(str(one), "--owner", "tests", "--prune", "--no-wake")
    names = {model["name"] for model in json.loads(kelp(installed, "get", "models", "-o", "json"))}
    assert {"one", NAME} <= names
    assert "two" not in names
    kelp(installed, "delete", "--all", "--owner", "tests", "--no-wait")


def test_what_is_printed_is_imported(installed: Platform, folder: Path, cluster: Cluster) -> None:
    """`kelp get model NAME -o yaml`, `kelp delete NAME`, `kelp import FILE`: the same model is back."""
    printed = folder / "printed.yaml"
    printed.write_text(kelp(installed, "get", "model", NAME, "-o", "yaml"), encoding="utf-8")
    kelp(installed, "delete", NAME)
    assert cluster.get("isvc", NAME, installed.ns) is None
    kelp(installed, "import", str(printed), "--no-wake")
    assert listed(installed, NAME)["state"] in {"asleep", "ready", "starting"}


def test_an_inference_service_of_somebody_else_is_left_alone(installed: Platform, cluster: Cluster) -> None:
    """Neither listed nor deleted nor replaced."""
    cluster.apply(
        {
            "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "theirs"},
            "spec": {"predictor": {"minReplicas": 0, "model": {
                "modelFormat": {"name": "sklearn"}, "storageUri": "pvc://none/none", "runtime": "kelp-yolo-onnx"}}},
        },
        ns=installed.ns,
    )  # fmt: skip
    assert "theirs" not in kelp(installed, "get", "models")
    with pytest.raises(CommandFailed, match="not one of Kelp's"):
        kelp(installed, "delete", "theirs")
    cluster.delete("isvc", "theirs", installed.ns)
