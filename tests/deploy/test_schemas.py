"""Every object is one that the API server and the controllers' CRDs know, field by field."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kelp.deploy import runtimes
from kelp.deploy.generate.places import ENVIRONMENTS
from kelp.deploy.options import RenderOptions
from tests.deploy.conftest import NO_KUSTOMIZE, ROOT, kustomized
from tests.deploy.schemas import CORE, crd_schemas, write_for_kubeconform

Environment = tuple[str, list[dict[str, Any]]]
CRDS = ROOT.parent / "shared" / "crds"
needs_crds = pytest.mark.skipif(not CRDS.is_dir(), reason="no folder of CRDs beside the checkout")
# Of the Gateway API only, which is not among those CRDs.
UNKNOWN = {"HTTPRoute"}


@pytest.fixture(scope="session")
def crds() -> dict[tuple[str, str], dict[str, Any]]:
    return crd_schemas(CRDS)


def objects_of(environment: Environment) -> list[dict[str, Any]]:
    return [*environment[1], *runtimes(RenderOptions(runtime_scope="Namespace"))]


def test_core_objects(environment: Environment) -> None:
    pytest.importorskip("kubernetes_validate")
    import kubernetes_validate

    checked = set()
    for item in objects_of(environment):
        if item["apiVersion"] in CORE:
            kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)
            checked.add(item["kind"])
    assert {"StatefulSet", "Service", "NetworkPolicy", "PodDisruptionBudget", "Role", "ConfigMap"} <= checked


@needs_crds
def test_custom_objects(environment: Environment, crds: dict[tuple[str, str], dict[str, Any]]) -> None:
    checked = set()
    for item in objects_of(environment):
        if item["apiVersion"] in CORE or item["kind"] in UNKNOWN:
            continue
        # Not `validate`, which checks the schema too, for most of a minute.
        faults = jsonschema.Draft7Validator(crds[item["apiVersion"], item["kind"]]).iter_errors(item)
        assert not [f"{list(fault.path)}: {fault.message}" for fault in faults]
        checked.add(item["kind"])
    assert {"InferenceService", "ClusterServingRuntime", "ServingRuntime"} <= checked


@needs_crds
def test_a_field_that_kserve_does_not_know_is_found(crds: dict[tuple[str, str], dict[str, Any]]) -> None:
    item = runtimes(RenderOptions())[0]
    item["spec"]["containers"][0]["redinessProbe"] = {}
    (fault,) = jsonschema.Draft7Validator(crds[item["apiVersion"], item["kind"]]).iter_errors(item)
    assert "redinessProbe" in fault.message


@needs_crds
@pytest.mark.skipif(shutil.which("kubeconform") is None, reason="kubeconform is not installed")
@pytest.mark.skipif(shutil.which("kustomize") is None, reason=NO_KUSTOMIZE)
def test_by_kubeconform(crds: dict[tuple[str, str], dict[str, Any]], tmp_path: Path) -> None:
    pytest.importorskip("kubernetes_validate")
    # All at once: most of the time goes into reading KServe's schema.
    objects = [i for name in ENVIRONMENTS for i in kustomized(name) if i["kind"] not in UNKNOWN]
    location = write_for_kubeconform(objects, crds, tmp_path)
    done = subprocess.run(
        ["kubeconform", "-strict", "-summary", "-output", "json", "-schema-location", location],
        input=yaml.safe_dump_all(objects),
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads(done.stdout)
    assert result["summary"] == {"valid": len(objects), "invalid": 0, "errors": 0, "skipped": 0}, result["resources"]
