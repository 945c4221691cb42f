"""One card → its ConfigMap and its InferenceService."""

from __future__ import annotations

import re
from typing import Any

import yaml

from kelp.card import Card
from kelp.deploy import container, scaling
from kelp.deploy.cards import as_data, serving_json, with_gpu_choice
from kelp.deploy.exposed import virtual_service
from kelp.deploy.families import variant_of
from kelp.deploy.labels import CARD_ANNOTATION, model_labels
from kelp.deploy.options import RenderOptions
from kelp.deploy.resources import container_resources
from kelp.deploy.weights import deployed_weights
from kelp.errors import InvalidRequest

WEIGHTS_DIR = "/mnt/models"
CARD_KEY = "card.yaml"
# KServe's own pattern; and Knative's service NAME-predictor is a DNS label of at most 63 characters.
_NAME = re.compile(r"^[a-z]([-a-z0-9]{0,51}[a-z0-9])?$")

# KServe makes a Service of the model's name, and takes over one that is there: webhooks would go to the gateway.
_TAKEN = frozenset({"bridge"})


def card_config_map_name(model_name: str) -> str:
    return f"kelp-card-{model_name}"


def render(card: Card, options: RenderOptions) -> list[dict[str, Any]]:
    """[ConfigMap with the card, InferenceService] of `card` on the cluster of `options`; exposed, a VirtualService too.

    InvalidRequest or NotFound name the model and the field that no cluster, or not this one, can have.
    """
    if not _NAME.match(card.model_name):
        raise InvalidRequest(
            f"{card.model_name}: name: on a cluster it begins with a letter and has at most 53 characters"
        )
    if card.model_name in _TAKEN:
        raise InvalidRequest(f"{card.model_name}: name: on a cluster the bridge's Service has it; expected another")
    deployed = deployed_weights(card, options)
    variant = variant_of(card, deployed.main_file)
    card = with_gpu_choice(card, gpu=options.gpu and variant.gpu)
    card = card.model_copy(update={"weights": deployed.weights})
    objects = [_config_map(card, options), _inference_service(card, options, variant.name)]
    if card.expose:
        objects.append(virtual_service(card, options, scaling.request_timeout_s(card, options.max_timeout)))
    return objects


def _config_map(card: Card, options: RenderOptions) -> dict[str, Any]:
    text = yaml.safe_dump(as_data(card), sort_keys=False, allow_unicode=True, width=120)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": card_config_map_name(card.model_name),
            "namespace": options.namespace,
            "labels": model_labels(card),
        },
        "data": {CARD_KEY: text},
    }


def _inference_service(card: Card, options: RenderOptions, runtime: str) -> dict[str, Any]:
    # An exposed one too: from outside it is reached through the host that checks tokens, and in no other way.
    labels = {**model_labels(card), "networking.knative.dev/visibility": "cluster-local"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": card.model_name,
            "namespace": options.namespace,
            "labels": labels,
            "annotations": {
                CARD_ANNOTATION: card_config_map_name(card.model_name),
                "serving.kserve.io/deploymentMode": "Serverless",
                **scaling.knative_annotations(card),
            },
        },
        "spec": {"predictor": _predictor(card, options, runtime)},
    }


def _predictor(card: Card, options: RenderOptions, runtime: str) -> dict[str, Any]:
    found: dict[str, Any] = scaling.spec(card, options.max_timeout)
    # No model calls the API server; the storage initializer gets its credentials as a Secret.
    found["automountServiceAccountToken"] = False
    if options.service_account:
        found["serviceAccountName"] = options.service_account
    scheduling = card.scheduling
    if scheduling.node_selector:
        found["nodeSelector"] = dict(sorted(scheduling.node_selector.items()))
    if scheduling.tolerations:
        found["tolerations"] = [_toleration(t.model_dump(exclude_none=True)) for t in scheduling.tolerations]
    if scheduling.priority_class:
        found["priorityClassName"] = scheduling.priority_class
    if scheduling.runtime_class:
        found["runtimeClassName"] = scheduling.runtime_class
    found["model"] = {
        "modelFormat": {"name": runtime},
        "runtime": runtime,
        "protocolVersion": "grpc-v2" if card.protocol == "grpc" else "v2",
        "storageUri": card.weights.uri,
        "env": [
            {"name": "KELP_CARD_JSON", "value": serving_json(card, card.weights)},
            {"name": "KELP_WEIGHTS_DIR", "value": WEIGHTS_DIR},
        ],
        "ports": container.ports(card),
        "resources": container_resources(card),
        **container.probes(card),
    }
    return found


def _toleration(given: dict[str, Any]) -> dict[str, Any]:
    if "seconds" in given:
        given["tolerationSeconds"] = given.pop("seconds")
    return given
