"""The chart by helm: equal to kustomize and to the renderer, and with words for what it refuses."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelp.deploy import runtimes
from kelp.deploy.generate import helm
from kelp.deploy.generate.difference import key_of
from kelp.deploy.generate.environment import values_of
from kelp.deploy.generate.places import ENVIRONMENTS, NAMESPACE
from kelp.deploy.generate.values import options_of
from tests.deploy.conftest import NO_HELM, NO_KUSTOMIZE, PLACES, kustomized, read_all
from tests.deploy.policies import not_restricted, pod_specs

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason=NO_HELM)
CARD = "{name: corals, runtime: yolo, task: segment, weights: {uri: 's3://b/best.onnx'}}"


def values_files(name: str) -> list[Path]:
    folder = PLACES.environment(name)
    return [folder / "values.yaml", folder / "objects.yaml"]


def template(tmp_path: Path, values: str, *, hooks: bool = False) -> list[dict[str, Any]]:
    file = tmp_path / "values.yaml"
    file.write_text(values)
    if not hooks:
        return helm.template(PLACES.chart, [file])
    done = subprocess.run(
        ["helm", "template", "kelp", str(PLACES.chart), "-n", NAMESPACE, "-f", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    return read_all(done.stdout)


def test_no_key_of_what_the_chart_makes_stands_twice(tmp_path: Path) -> None:
    watched = "monitoring: {serviceMonitor: {enabled: true}}"
    values = f"bridge: {{webhook: {{existingSecret: w}}}}\n{watched}\nmodels: {{corals: {CARD}}}"
    assert template(tmp_path, values, hooks=True)


@pytest.mark.skipif(shutil.which("kustomize") is None, reason=NO_KUSTOMIZE)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_helm_and_kustomize_give_the_same_objects(name: str) -> None:
    by_helm = {key_of(i): helm.without_helm(i) for i in helm.template(PLACES.chart, values_files(name))}
    # helm makes no namespace of its own: `--create-namespace` does.
    by_kustomize = {key_of(i): i for i in kustomized(name) if i["kind"] != "Namespace"}
    assert by_helm.keys() == by_kustomize.keys()
    for key, item in by_helm.items():
        assert item == by_kustomize[key]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_runtimes_and_what_deploy_is_told_are_the_renderers(name: str) -> None:
    options = options_of(values_of(PLACES, name), NAMESPACE)
    objects = [helm.without_helm(item) for item in helm.template(PLACES.chart, values_files(name))]
    found = {i["metadata"]["name"]: i for i in objects if i["kind"].endswith("ServingRuntime")}
    expected = {item["metadata"]["name"]: item for item in runtimes(options)}
    assert found.keys() == expected.keys()
    for name_, item in expected.items():
        assert found[name_]["kind"] == item["kind"]
        assert found[name_]["spec"] == item["spec"]
    (platform,) = [i for i in objects if i["metadata"]["name"] == "kelp-platform"]
    told = yaml.safe_load(platform["data"]["platform.yaml"])
    assert told["storage"]["uri"] == options.storage
    assert told["service_account"] == (options.service_account or "")
    again = type(options)(
        namespace=NAMESPACE,
        storage=told["storage"]["uri"],
        service_account=told["service_account"] or None,
        **told["render"],
    )
    assert again.model_copy(update={"runtime_env": options.runtime_env}) == options


def test_lint() -> None:
    done = subprocess.run(["helm", "lint", "--strict", str(PLACES.chart)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_runtimes_of_a_namespace(tmp_path: Path) -> None:
    found = [i for i in template(tmp_path, "runtimes: {scope: Namespace}") if "ServingRuntime" in i["kind"]]
    assert {(i["kind"], i["metadata"]["namespace"]) for i in found} == {("ServingRuntime", NAMESPACE)}


def test_cards_are_handed_on_as_they_are(tmp_path: Path) -> None:
    objects = template(tmp_path, f"models: {{corals: {CARD}}}", hooks=True)
    (cards,) = [i for i in objects if i["metadata"]["name"] == "kelp-cards"]
    assert yaml.safe_load(cards["data"]["corals.yaml"]) == yaml.safe_load(CARD)
    jobs = {i["metadata"]["annotations"]["helm.sh/hook"]: i for i in objects if i["kind"] == "Job"}
    assert jobs.keys() == {"post-install,post-upgrade", "pre-delete"}
    asked = jobs["post-install,post-upgrade"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert asked[:3] == ["deploy", "/cards", "--prune"]
    assert {"--no-wake", "--no-wait"} <= set(asked), "an install wakes no model"


def test_hooks_and_test_pods_are_restricted(tmp_path: Path) -> None:
    objects = template(tmp_path, f"models: {{corals: {CARD}}}\nbridge: {{webhook: {{existingSecret: w}}}}", hooks=True)
    found = dict(pod_specs(objects))
    assert {"Job kelp-deploy", "Job kelp-delete", "Pod kelp-test-ping", "Pod kelp-test-infer"} <= found.keys()
    assert not {name: faults for name, spec in found.items() if (faults := not_restricted(spec))}


@pytest.mark.parametrize(
    ("kind", "rendered"), [("istio", "VirtualService"), ("ingress", "Ingress"), ("gateway", "HTTPRoute")]
)
def test_from_outside_only_the_webhooks_are_reached(tmp_path: Path, kind: str, rendered: str) -> None:
    route = f"bridge: {{route: {{kind: {kind}, host: kelp.example.com, gateway: {{name: shared}}}}}}"
    (found,) = [i for i in template(tmp_path, route) if i["kind"] == rendered]
    text = yaml.safe_dump(found)
    assert "kelp.example.com" in text
    paths = {line.rsplit(" ", 1)[-1] for line in text.splitlines() if line.rsplit(" ", 1)[-1].startswith("/")}
    assert paths == {
        "/detect-model-webhook",
        "/crop-quadrat-and-create-new-task-webhook",
        "/remove-grid-and-create-new-task-webhook",
    }


@pytest.mark.parametrize(("namespace", "host"), [("kelp", "bridge.kelp"), ("kelp2", "bridge.kelp2.svc.cluster.local")])
def test_the_bridges_address_is_one_that_cvat_takes(namespace: str, host: str) -> None:
    """CVAT's pattern of addresses has no digit in a host's last part."""
    objects = read_all(
        subprocess.run(
            ["helm", "template", "kelp", str(PLACES.chart), "-n", namespace], capture_output=True, text=True, check=True
        ).stdout
    )
    (bridge,) = [i for i in objects if i["kind"] == "StatefulSet"]
    environment = {i["name"]: i.get("value") for i in bridge["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["KELP_PUBLIC_URL"] == f"http://{host}:8000"


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_service_types(tmp_path: Path, kind: str) -> None:
    (service,) = [i for i in template(tmp_path, f"bridge: {{service: {{type: {kind}}}}}") if i["kind"] == "Service"]
    assert service["spec"]["type"] == kind
    names = [port["name"] for port in service["spec"]["ports"]]
    assert ("metrics" in names) == (kind != "LoadBalancer"), "metrics are for nobody outside"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("bridge: {replicas: two}", ["/bridge/replicas", "want integer"]),
        ("bridge: {replicas: 2}", ["bridge.replicas", "bridge.database.existingSecret"]),
        ("bridge: {cvat: {url: cvat.example.com}}", ["/bridge/cvat/url", "does not match pattern"]),
        ("bridge: {cvat: {password: hunter2}}", ["/bridge/cvat", "additional properties 'password' not allowed"]),
        ("bridge: {route: {kind: istio}}", ["bridge.route.host", "the name under which CVAT calls"]),
        ("images: {prefix: registry.example.com/kelp}", ["/images/prefix", "does not match pattern"]),
        ("storage: {uri: 'ftp://x'}", ["/storage/uri"]),
        ("network: {expose: {host: models.example.com}}", ["network.expose", "TLS and a token only"]),
        ("models: {corals: {name: corals}}", ["/models/corals", "missing properties"]),
        (f"models: {{fish: {CARD}}}", ["models.fish", "corals", "must be the same"]),
        (f"models: {{corals: {CARD[:-1]}, colour: red}}}}", ["/models/corals", "'colour' not allowed"]),
    ],
)
def test_wrong_values_are_refused_with_where_and_why(tmp_path: Path, values: str, says: list[str]) -> None:
    with pytest.raises(helm.HelmFailed) as refused:
        template(tmp_path, values)
    for part in says:
        assert part in refused.value.message
