"""What every object of ours must keep to: Pod Security's "restricted", probes, limits, no secret in the open."""

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
WORKLOADS = {"StatefulSet", "Deployment", "Job", "DaemonSet"}


def pod_specs(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """(name, pod's spec) of all that makes pods. A model's is its runtime's, with what its InferenceService adds."""
    runtimes = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"].endswith("ServingRuntime")}
    for item in objects:
        name = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] in WORKLOADS:
            yield name, item["spec"]["template"]["spec"]
        elif item["kind"] == "Pod":
            yield name, item["spec"]
        elif item["kind"] == "InferenceService":
            predictor = item["spec"]["predictor"]
            model = predictor["model"]
            runtime = runtimes[model["runtime"]]
            container = {**runtime["containers"][0], **model}
            container["env"] = [*runtime["containers"][0]["env"], *model["env"]]
            yield name, {**runtime, **predictor, "containers": [container]}


def not_restricted(spec: Object) -> list[str]:
    """Where a pod's spec leaves Pod Security's "restricted", or can write to its image.

    Source: Kubernetes' Pod Security Standards.
    """
    faults = [f"{field}: true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    faults += [f"volume {v['name']}: hostPath" for v in spec.get("volumes", []) if "hostPath" in v]
    of_pod = spec.get("securityContext", {})
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        context = {**of_pod, **container.get("securityContext", {})}
        expected = {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        faults += [f"{container['name']}: {k}: {context.get(k)}" for k, v in expected.items() if context.get(k) != v]
        if context.get("capabilities") != {"drop": ["ALL"]}:
            faults.append(f"{container['name']}: capabilities: {context.get('capabilities')}")
        if context.get("privileged") or context.get("runAsUser") == 0:
            faults.append(f"{container['name']}: privileged, or root")
        faults += [f"{container['name']}: hostPort" for p in container.get("ports", []) if p.get("hostPort")]
    return faults


def texts(value: Any) -> Iterator[str]:
    """Every text in `value`, keys aside."""
    if isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str):
        yield value
