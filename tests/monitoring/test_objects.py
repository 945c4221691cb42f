"""The monitoring's objects as the chart makes them: what the operator takes, and what the network lets in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelp.card import parse_card
from kelp.deploy import RenderOptions, render
from kelp.deploy.container import REST_PORT

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "kelp"
CRDS = ROOT.parent / "shared" / "crds"
BED = Path(os.environ.get("KELP_BED", "/var/tmp/kelp-bed")) / "bin"
HELM = shutil.which("helm") or shutil.which("helm", path=str(BED))
CRD_OF = {"ServiceMonitor": "servicemonitors", "PodMonitor": "podmonitors", "PrometheusRule": "prometheusrules"}

pytestmark = pytest.mark.skipif(HELM is None, reason="helm is not installed")


def template(*settings: str, namespace: str = "reef") -> dict[tuple[str, str], dict[str, Any]]:
    """The chart's objects by kind and name, with all of the monitoring."""
    on = [f"monitoring.{part}.enabled=true" for part in ("serviceMonitor", "rules", "dashboard")]
    command = [HELM or "", "template", "kelp", str(CHART), "-n", namespace, "--set", ",".join([*on, *settings])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(done.stdout) if o}


def test_nothing_of_it_is_there_unless_it_is_asked_for() -> None:
    done = subprocess.run([HELM or "", "template", "kelp", str(CHART)], capture_output=True, text=True, timeout=60)
    kinds = {o["kind"] for o in yaml.safe_load_all(done.stdout) if o}
    assert kinds
    assert not kinds & CRD_OF.keys()
    assert "grafana" not in done.stdout


@pytest.mark.skipif(not CRDS.is_dir(), reason="the CRDs' schemas are not beside this checkout")
@pytest.mark.parametrize("kind", CRD_OF)
def test_the_operator_takes_them(kind: str) -> None:
    import jsonschema

    crd = yaml.safe_load((CRDS / f"monitoring.coreos.com_{CRD_OF[kind]}.yaml").read_text())
    (version,) = [v for v in crd["spec"]["versions"] if v["name"] == "v1"]
    found = [o for (k, _), o in template().items() if k == kind]
    assert found
    # Some of its patterns are Go's: the schema itself is not to be checked.
    validator = jsonschema.Draft202012Validator(_strict(version["schema"]["openAPIV3Schema"]))
    for made in found:
        validator.validate(made)
        assert not validator.is_valid({**made, "spec": {**made["spec"], "noSuchField": 1}})


def _strict(schema: Any) -> Any:
    """A field that the schema does not know would be dropped in silence."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(part) for key, part in schema.items()}
    fields = made.get("properties")
    if made.get("type") == "object" and isinstance(fields, dict) and fields.keys() - {"metadata"}:
        made.setdefault("additionalProperties", False)
    return made


def test_labels_and_intervals_are_the_values() -> None:
    settings = [f"monitoring.{part}.labels.release=prom" for part in ("serviceMonitor", "rules", "dashboard")]
    made = template(*settings, "monitoring.serviceMonitor.interval=5s", "monitoring.dashboard.namespace=grafana")
    ours = [o for o in made.values() if o["metadata"]["labels"].get("release") == "prom"]
    assert {o["kind"] for o in ours} == {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"}
    assert made["ConfigMap", "kelp-dashboard"]["metadata"]["namespace"] == "grafana"
    assert made["ServiceMonitor", "kelp-bridge"]["spec"]["endpoints"][0]["interval"] == "5s"
    assert made["PodMonitor", "kelp-models"]["spec"]["podMetricsEndpoints"][0]["interval"] == "5s"
    shown = json.loads(made["ConfigMap", "kelp-dashboard"]["data"]["kelp.json"])
    assert shown == json.loads((CHART / "files" / "monitoring" / "kelp.json").read_text())


def test_the_rules_ask_for_the_namespaces_of_this_platform(tmp_path: Path) -> None:
    made = template("modelsNamespace.name=corals")["PrometheusRule", "kelp"]["spec"]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(made))
    text = file.read_text()
    assert 'namespace="reef"' in text
    assert 'namespace=~"corals"' in text
    assert '"kelp"' not in text
    assert "namespace: kelp" not in text
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "rules", str(file)], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("kind", ["ClusterIP", "LoadBalancer", "NodePort"])
def test_one_service_leads_to_the_bridges_metrics(kind: str) -> None:
    made = template(f"bridge.service.type={kind}")
    wanted = made["ServiceMonitor", "kelp-bridge"]["spec"]["selector"]["matchLabels"]
    services = [o for (k, _), o in made.items() if k == "Service" and _fits(wanted, o["metadata"]["labels"])]
    assert [s["metadata"]["name"] for s in services] == ["bridge-metrics"]
    pod = made["StatefulSet", "bridge"]["spec"]["template"]
    assert _fits(services[0]["spec"]["selector"], pod["metadata"]["labels"])
    (port,) = services[0]["spec"]["ports"]
    (container,) = pod["spec"]["containers"]
    assert (port["targetPort"], 8001) in {(p["name"], p["containerPort"]) for p in container["ports"]}


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_models_pod_is_found_and_may_be_asked(protocol: str) -> None:
    made = template("network.monitoringNamespaces={prometheus}")
    monitor = made["PodMonitor", "kelp-models"]["spec"]
    card = {
        "name": "corals", "runtime": "yolo", "task": "segment", "protocol": protocol,
        "weights": {"uri": "s3://w/" + "a" * 64 + "/best.onnx", "sha256": "a" * 64},
    }  # fmt: skip
    service = next(
        o
        for o in render(parse_card(json.dumps(card)), RenderOptions(namespace="reef"))
        if o["kind"] == "InferenceService"
    )
    labels = service["metadata"]["labels"]
    assert _fits(monitor["selector"]["matchLabels"], labels)
    assert monitor["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]]
    (endpoint,) = monitor["podMetricsEndpoints"]
    steps = endpoint["relabelings"]
    assert _relabelled(steps, {"__meta_kubernetes_pod_ip": "10.1.2.3"})["__address__"] == f"10.1.2.3:{REST_PORT}"
    assert _relabelled(steps, {"__meta_kubernetes_pod_ip": "fd00::7"})["__address__"] == f"[fd00::7]:{REST_PORT}"
    seen = {
        "__meta_kubernetes_pod_ip": "10.1.2.3",
        "__meta_kubernetes_pod_label_kelp_dev_model": labels["kelp.dev/model"],
    }
    assert _relabelled(steps, seen)["model"] == "corals"
    for pods, port in (
        (labels, REST_PORT),
        (made["StatefulSet", "bridge"]["spec"]["template"]["metadata"]["labels"], 8001),
    ):
        assert _lets_in(made, pods, "prometheus", port)
        assert not _lets_in(made, pods, "elsewhere", port)


def _fits(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _relabelled(steps: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, str]:
    """As Prometheus does: fully anchored, `replace` unless said otherwise."""
    import re

    found = dict(labels)
    for step in steps:
        source = ";".join(found.get(name, "") for name in step["sourceLabels"])
        match = re.fullmatch(step.get("regex", "(.*)"), source)
        if match is not None:
            found[step["targetLabel"]] = match.expand(step.get("replacement", "$1").replace("$1", r"\g<1>"))
    return found


def _lets_in(made: dict[tuple[str, str], dict[str, Any]], pod: dict[str, str], namespace: str, port: int) -> bool:
    """Whether some policy lets pods of `namespace` call this port of the pod."""
    policies = [o["spec"] for (kind, _), o in made.items() if kind == "NetworkPolicy"]
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return any(
        peer in rule.get("from", ()) and port in [p["port"] for p in rule.get("ports", ())]
        for policy in policies
        if _fits(policy["podSelector"]["matchLabels"], pod)
        for rule in policy.get("ingress") or ()
    )
