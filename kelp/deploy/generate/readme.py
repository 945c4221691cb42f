"""The chart's README: every value with the comment that stands above it in values.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

_HEAD = """\
# Chart: kelp

The platform: predictor runtimes, the bridge, routes, policies; and the models, each as a card or as rendered objects.

```sh
kubectl create namespace kelp
kubectl label namespace kelp pod-security.kubernetes.io/enforce=restricted
helm install kelp charts/kelp -n kelp --set bridge.cvat.url=https://cvat.example.com \\
  --set bridge.cvat.existingSecret=kelp-cvat --set bridge.webhook.existingSecret=kelp-webhook
helm test kelp -n kelp
```

The cluster has Knative Serving and KServe already. Uninstalling keeps the volumes of the bridge and of the weights,
unless `bridge.persistence.keep` and `storage.pvc.keep` are false.

`values.models` takes cards as they are; a Job renders them with the same code as `kelp deploy`. `values.objects` takes
what was rendered before. `values.schema.json` refuses what neither the chart nor a card knows.

## Values

| value | default | what it does |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Value:
    """path: dotted; default: as JSON; comment: empty where none stands above it."""

    path: str
    default: str
    comment: str


def readme(values_text: str) -> str:
    rows = [f"| `{v.path}` | `{v.default}` | {v.comment} |" for v in values_in(values_text)]
    return _HEAD + "\n".join(rows) + "\n\nThis file is made by `make render` from values.yaml.\n"


def values_in(text: str) -> list[Value]:
    """Every leaf of the mapping in `text`, in order. A mapping is a leaf if it is empty or has a comment of its own and
    is written on one line."""
    comments = _comments(text)
    found: list[Value] = []

    def walk(node: Any, path: str, inherited: str) -> None:
        comment = comments.get(node.start_mark.line, "") if not path else inherited
        if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
            for key, value in node.value:
                inner = f"{path}.{key.value}" if path else str(key.value)
                walk(value, inner, comments.get(key.start_mark.line, ""))
            return
        found.append(Value(path, json.dumps(_plain(node), ensure_ascii=False), comment))

    walk(yaml.compose(text, Loader=yaml.SafeLoader), "", "")
    return found


def _plain(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))


def _comments(text: str) -> dict[int, str]:
    """Line of a key → the comment lines directly above it."""
    found: dict[int, str] = {}
    above: list[str] = []
    for number, line in enumerate(text.splitlines()):
        stripped = line.strip()
        if stripped.startswith("#"):
            above.append(stripped.removeprefix("#").strip())
            continue
        if stripped and above:
            found[number] = " ".join(above)
        above = []
    return found
