"""From one set of objects to another: a kustomize component that adds, changes and deletes."""

from __future__ import annotations

from typing import Any

from kelp.deploy.text import dump

Object = dict[str, Any]
Key = tuple[str, str, str, str]


def key_of(item: Object) -> Key:
    """Group and version, kind, namespace, name."""
    meta = item["metadata"]
    return item["apiVersion"], item["kind"], meta.get("namespace", ""), meta["name"]


def component(base: list[Object], wanted: list[Object]) -> dict[str, list[Any]]:
    """The fields of a kustomization that turns `base` into `wanted`: `patches`, and `added` objects for `resources`."""
    before = {key_of(item): item for item in base}
    after = {key_of(item): item for item in wanted}
    patches: list[dict[str, Any]] = []
    for key, item in before.items():
        if key not in after:
            meta: dict[str, str] = {"name": key[3], **({"namespace": key[2]} if key[2] else {})}
            gone: Object = {"$patch": "delete", "apiVersion": key[0], "kind": key[1], "metadata": meta}
            patches.append({"patch": dump(gone)})
        elif steps := operations(item, after[key]):
            patches.append({"target": _target(key), "patch": dump(steps)})
    return {"added": [item for key, item in after.items() if key not in before], "patches": patches}


def operations(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """RFC 6902 (JSON Patch) operations from `before` to `after`; a list of another length is replaced as a whole."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted(before.keys() | after.keys()):
            place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in after:
                found.append({"op": "remove", "path": place})
            elif key not in before:
                found.append({"op": "add", "path": place, "value": after[key]})
            else:
                found += operations(before[key], after[key], place)
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            step for i, pair in enumerate(zip(before, after, strict=True)) for step in operations(*pair, f"{path}/{i}")
        ]
    return [{"op": "replace", "path": path, "value": after}]


def _target(key: Key) -> dict[str, str]:
    group, _, version = key[0].rpartition("/")
    found = {"group": group, "version": version, "kind": key[1], "name": key[3]}
    if key[2]:
        found["namespace"] = key[2]
    return {name: value for name, value in found.items() if value}
