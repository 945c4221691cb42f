"""The ServingRuntimes: one a variant of a predictor family, its image and what all its models share."""

from __future__ import annotations

from typing import Any

from kelp.deploy import container
from kelp.deploy.families import Variant, variants
from kelp.deploy.options import RenderOptions

_ENV = {"HOME": "/tmp", "KELP_LOG_FORMAT": "json"}  # noqa: S108 - a volume of the pod's own


def runtimes(options: RenderOptions) -> list[dict[str, Any]]:
    """A ClusterServingRuntime, or ServingRuntime of the namespace, for every variant there is."""
    return [_runtime(variant, options) for variant in variants()]


def _runtime(variant: Variant, options: RenderOptions) -> dict[str, Any]:
    clusterwide = options.runtime_scope == "Cluster"
    metadata: dict[str, Any] = {"name": variant.name}
    if not clusterwide:
        metadata["namespace"] = options.namespace
    metadata["labels"] = {
        "app.kubernetes.io/name": variant.name,
        "app.kubernetes.io/component": "runtime",
        "app.kubernetes.io/part-of": "kelp",
    }
    spec: dict[str, Any] = {
        # Never chosen for somebody else's model: an InferenceService names it.
        "supportedModelFormats": [{"name": variant.name, "version": "1", "autoSelect": False}],
        "protocolVersions": ["v2", "grpc-v2"],
        "containers": [_container(variant, options)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    if options.images.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in options.images.pull_secrets]
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime" if clusterwide else "ServingRuntime",
        "metadata": metadata,
        "spec": spec,
    }


def _container(variant: Variant, options: RenderOptions) -> dict[str, Any]:
    # No ports: REST and gRPC models share a runtime, and Knative takes one port, which the InferenceService names.
    return {
        "name": "kserve-container",
        "image": options.images.of(variant.name),
        "imagePullPolicy": options.images.pull_policy,
        "args": ["--host", "0.0.0.0"],  # noqa: S104 - within its pod
        "env": [{"name": name, "value": value} for name, value in {**_ENV, **options.runtime_env}.items()],
        "securityContext": container.security_context(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
