"""JSON schemas of Kubernetes' own objects (the package kubernetes-validate) and of CRDs (files of CRDs)."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

CORE = {"v1", "apps/v1", "batch/v1", "policy/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"}


def core_folder() -> Path:
    """The newest folder of strict schemas, one file a kind."""
    spec = find_spec("kubernetes_validate")
    assert spec is not None
    assert spec.origin is not None
    folders = (Path(spec.origin).parent / "kubernetes-json-schema").glob("*-strict")
    return max(folders, key=lambda folder: [int(part) for part in folder.name.split("-")[0].lstrip("v").split(".")])


def crd_schemas(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """(group/version, kind) → JSON schema that allows no field it does not know."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        for crd in yaml.load_all(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if not crd or crd.get("kind") != "CustomResourceDefinition":
                continue
            spec = crd["spec"]
            for version in spec["versions"]:
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[key] = _strict(version["schema"]["openAPIV3Schema"], root=True)
    return found


def _strict(schema: dict[str, Any], *, root: bool = False) -> dict[str, Any]:
    found = dict(schema)
    if found.pop("x-kubernetes-int-or-string", False):
        found.pop("type", None)
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if root:  # which some CRDs leave out, because the API server knows them anyway
        text = {"type": "string"}
        known = {"apiVersion": text, "kind": text, "metadata": {"type": "object"}}
        found["properties"] = {**found.get("properties", {}), **known}
    if "properties" in found:
        found["properties"] = {key: _strict(part) for key, part in found["properties"].items()}
        if not found.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in found:
            found["additionalProperties"] = False
    for key in ("items", "additionalProperties", "not"):
        if isinstance(found.get(key), dict):
            found[key] = _loose(found[key]) if key == "not" else _strict(found[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in found:
            found[key] = [_loose(part) for part in found[key]]
    return found


def _loose(schema: dict[str, Any]) -> dict[str, Any]:
    """A part that only restricts further: what it does not name may be there all the same."""
    return schema


def write_for_kubeconform(
    objects: list[dict[str, Any]], crds: dict[tuple[str, str], dict[str, Any]], folder: Path
) -> str:
    """Write the schemas of these objects' kinds into `folder`; the location that kubeconform is given."""
    core = core_folder()
    for version, kind in {(item["apiVersion"], item["kind"]) for item in objects}:
        group, _, number = version.rpartition("/")
        suffix = "-".join(part for part in (kind.lower(), group.split(".")[0], number) if part)
        crd = crds.get((version, kind))
        (folder / f"{suffix}.json").write_text(json.dumps(crd) if crd else _beside(core / f"{suffix}.json"))
    (folder / "_definitions.json").write_text(_beside(core / "_definitions.json"))
    return str(folder / "{{.ResourceKind}}{{.KindSuffix}}.json")


def _beside(path: Path) -> str:
    """A core schema that refers to the file beside it, and not to the address under which the package knows it."""
    schema = json.loads(path.read_text())
    schema.pop("$id", None)
    return json.dumps(schema).replace("/api/_definitions.json", "_definitions.json")
