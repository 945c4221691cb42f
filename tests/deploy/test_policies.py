"""What the platform's own objects keep to, in every environment."""

import json
import re
from typing import Any

import pytest

from tests.deploy.policies import not_restricted, pod_specs, texts

Environment = tuple[str, list[dict[str, Any]]]
# Of the bridge and of the deployer, which ask the API server.
WITH_TOKEN = {"StatefulSet bridge"}


def kinds(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for item in objects if item["kind"] == kind]


def test_there_is_something_to_check(environment: Environment) -> None:
    names = [name for name, _ in pod_specs(environment[1])]
    assert "StatefulSet bridge" in names
    assert any(name.startswith("InferenceService ") for name in names)


def test_every_pod_is_restricted(environment: Environment) -> None:
    faults = {name: found for name, spec in pod_specs(environment[1]) if (found := not_restricted(spec))}
    assert not faults


def test_every_container_has_requests_and_limits(environment: Environment) -> None:
    for name, spec in pod_specs(environment[1]):
        for container in spec["containers"]:
            resources = container["resources"]
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= resources[kind].keys(), name
            gpus = [{k: v for k, v in resources[kind].items() if "/" in k} for kind in ("requests", "limits")]
            assert gpus[0] == gpus[1], f"{name}: of GPUs, requests and limits are equal"


def test_every_server_has_probes_that_bear_a_slow_start_and_a_long_pause(environment: Environment) -> None:
    for name, spec in pod_specs(environment[1]):
        for container in spec["containers"]:
            assert {"readinessProbe", "livenessProbe"} <= container.keys(), name
            live = container["livenessProbe"]
            assert live["periodSeconds"] * live["failureThreshold"] >= 30, name
            startup = container.get("startupProbe")
            if startup:
                assert startup["periodSeconds"] * startup["failureThreshold"] >= 300, name
            else:
                assert live["initialDelaySeconds"] >= 30, name


def test_no_model_has_a_startup_probe(environment: Environment) -> None:
    """With one, Knative's activator leaves a request waiting until the kubelet has called the pod ready."""
    for name, spec in pod_specs(environment[1]):
        if name.startswith("InferenceService "):
            assert "startupProbe" not in spec["containers"][0], name


def test_a_models_liveness_is_not_its_readiness(environment: Environment) -> None:
    for name, spec in pod_specs(environment[1]):
        container = spec["containers"][0]
        assert container["livenessProbe"].get("httpGet") != container["readinessProbe"].get("httpGet"), name


def test_only_who_asks_the_api_server_has_a_token(environment: Environment) -> None:
    with_token = {name for name, spec in pod_specs(environment[1]) if spec.get("automountServiceAccountToken", True)}
    assert with_token == WITH_TOKEN


def test_the_bridge_may_only_read_models_and_their_cards(environment: Environment) -> None:
    (role,) = [item for item in kinds(environment[1], "Role") if item["metadata"]["name"] == "bridge"]
    granted = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert granted == {
        ("inferenceservices", "get"),
        ("inferenceservices", "list"),
        ("inferenceservices", "watch"),
        ("configmaps", "get"),
    }
    assert not kinds(environment[1], "ClusterRole")


def test_no_secret_stands_in_an_object(environment: Environment) -> None:
    """Secrets come from Secrets that exist: as files, named by variables that end in _FILE."""
    _, objects = environment
    assert not kinds(objects, "Secret")
    secret = re.compile(r"(PASSWORD|TOKEN|SECRET|DATABASE_URL)")
    for name, spec in pod_specs(objects):
        for container in spec["containers"]:
            for entry in container.get("env", []):
                if secret.search(entry["name"]) and not entry["name"].endswith("_FILE"):
                    assert entry.get("value", "").startswith("sqlite:"), f"{name}: {entry['name']}"
    for item in objects:
        for text in texts(item):
            assert not re.search(r"://[^/\s]+:[^/\s@]+@", text), f"{item['kind']} {item['metadata']['name']}"


def test_all_pods_are_denied_what_is_not_named(environment: Environment) -> None:
    policies = kinds(environment[1], "NetworkPolicy")
    deny = [p for p in policies if p["metadata"]["name"] == "kelp-deny"]
    assert deny
    for policy in deny:
        assert policy["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": "kelp"}
        assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        assert not policy["spec"].get("ingress")
        assert not policy["spec"].get("egress")
    for item in environment[1]:
        if item["kind"] == "StatefulSet":
            assert item["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kelp"
        if item["kind"] == "InferenceService":
            assert item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kelp"


def test_models_are_cluster_local(environment: Environment) -> None:
    for item in kinds(environment[1], "InferenceService"):
        assert item["metadata"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"


def test_models_names_and_cards_belong_together(environment: Environment) -> None:
    cards = {item["metadata"]["name"] for item in kinds(environment[1], "ConfigMap")}
    for item in kinds(environment[1], "InferenceService"):
        assert item["metadata"]["annotations"]["kelp.dev/card"] in cards
        served = {e["name"]: e["value"] for e in item["spec"]["predictor"]["model"]["env"]}
        assert json.loads(served["KELP_CARD_JSON"])["name"]


def test_several_bridges_share_a_database(environment: Environment) -> None:
    (bridge,) = kinds(environment[1], "StatefulSet")
    names = {entry["name"] for entry in bridge["spec"]["template"]["spec"]["containers"][0]["env"]}
    if bridge["spec"]["replicas"] > 1:
        assert "KELP_DATABASE_URL_FILE" in names
        assert "volumeClaimTemplates" not in bridge["spec"]
    else:
        assert bridge["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"


@pytest.mark.parametrize("kind", ["ConfigMap", "InferenceService"])
def test_every_object_says_that_it_is_kelps(environment: Environment, kind: str) -> None:
    for item in kinds(environment[1], kind):
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "kelp"
        assert {"app.kubernetes.io/name", "app.kubernetes.io/component"} <= labels.keys()
