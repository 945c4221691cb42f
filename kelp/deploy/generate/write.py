"""All generated files of a checkout, as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kelp.deploy.generate import helm
from kelp.deploy.generate.chart_files import MADE, chart_files
from kelp.deploy.generate.difference import component
from kelp.deploy.generate.environment import objects_of
from kelp.deploy.generate.places import ENVIRONMENTS, NAMESPACE, Places
from kelp.deploy.text import dump, dump_all

# What base and environments are for: their models' objects are rendered already.
_BASE_SETTINGS = ("deployer.enabled=false",)


def rendered(places: Places) -> dict[Path, str]:
    """Path → content, of everything that no helm is needed for."""
    found = {places.chart / name: text for name, text in chart_files(places).items()}
    for name in ENVIRONMENTS:
        folder, objects = places.environment(name), objects_of(places, name)
        found[folder / "models.yaml"] = MADE + dump_all(objects)
        found[folder / "objects.yaml"] = MADE + dump({"objects": objects})
    return found


def from_helm(places: Places) -> dict[Path, str]:
    """Path → content, of what is made of the chart's own objects. HelmFailed where it refuses an environment's values.

    To be called once what `rendered` gives is written.
    """
    base = [helm.without_helm(item) for item in helm.template(places.chart, (), _BASE_SETTINGS)]
    found = {
        places.base / "platform.yaml": MADE + dump_all(base),
        places.base / "kustomization.yaml": MADE + dump(_kustomization(["namespace.yaml", "platform.yaml"])),
        places.base / "namespace.yaml": MADE + dump(_namespace()),
    }
    for name in ENVIRONMENTS:
        folder = places.environment(name)
        wanted = [helm.without_helm(item) for item in helm.template(places.chart, [folder / "values.yaml"])]
        change = component(base, wanted)
        files: dict[str, Any] = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        if change["added"]:
            files["resources"] = ["added.yaml"]
            found[folder / "platform" / "added.yaml"] = MADE + dump_all(change["added"])
        files["patches"] = change["patches"]
        found[folder / "platform" / "kustomization.yaml"] = MADE + dump(files)
    return found


def _kustomization(resources: list[str]) -> dict[str, Any]:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}


def _namespace() -> dict[str, Any]:
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    labels = {"app.kubernetes.io/part-of": "kelp", **security}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
