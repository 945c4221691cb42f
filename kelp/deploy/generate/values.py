"""The chart's values, and what they mean to the renderer."""

from __future__ import annotations

from typing import Any

from kelp.deploy.options import Images, RenderOptions


def options_of(values: dict[str, Any], namespace: str) -> RenderOptions:
    """The options that the chart's values stand for, installed into `namespace`: those of its `kelp-platform`."""
    images, storage, network = values["images"], values["storage"], values["network"]
    uri = storage["uri"] or (f"pvc://{storage['pvc']['name']}" if storage["pvc"]["create"] else None)
    host = network["expose"]["host"] or None
    chosen = {"tag": images["tag"]} if images["tag"] else {}
    return RenderOptions(
        namespace=values["modelsNamespace"]["name"] or namespace,
        images=Images(
            prefix=images["prefix"],
            digests=images["digests"],
            pull_policy=images["pullPolicy"],
            pull_secrets=tuple(images["pullSecrets"]),
            **chosen,
        ),
        storage=uri,
        service_account="kelp-models" if storage["existingSecret"] else None,
        gpu=values["render"]["gpu"],
        max_timeout=values["render"]["maxTimeout"],
        runtime_scope=values["runtimes"]["scope"],
        runtime_env=_tracing(values),
        expose_host=host,
        expose_gateway=f"{network['istio']['gatewayNamespace']}/kelp-models" if host else None,
    )


def _tracing(values: dict[str, Any]) -> dict[str, str]:
    endpoint = values["tracing"]["endpoint"]
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else {}
