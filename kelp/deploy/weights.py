"""Where a card's weights lie on a cluster: a folder named by its content, or the address that the card gives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kelp.card import Card, WeightFile, Weights
from kelp.deploy.options import RenderOptions
from kelp.errors import InvalidRequest
from kelp.weights.manifest import MANIFEST, read_manifest
from kelp.weights.uris import base_name, scheme_of, shown

CLUSTER_SCHEMES = frozenset({"pvc", "s3", "gs", "hf", "oci", "https", "http"})
MAIN_ROLE = "model"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A card's weights as the cluster has them.

    weights: with `uri` the storageUri, `files` relative to the folder that it is mounted as
    manifest: the bytes of `kelp-weights.json`, for weights that are uploaded; None for those that lie remote already
    local: role → file on this machine, of those to upload
    """

    weights: Weights
    manifest: bytes | None = None
    local: dict[str, Path] | None = None

    @property
    def main_file(self) -> str:
        """Name of the file that decides the engine; empty where only the folder's manifest knows it."""
        files = self.weights.files
        entry = files.get(MAIN_ROLE) or next(iter(files.values()), None)
        return entry.file if entry else ""

    @property
    def folder(self) -> str | None:
        """Name of the folder of uploaded weights: sha256 of the manifest."""
        return hashlib.sha256(self.manifest).hexdigest() if self.manifest is not None else None


def deployed_weights(card: Card, options: RenderOptions) -> Deployed:
    """The card's weights on the cluster of `options`.

    Files of this machine go to a folder of `options.storage` named by the sha256 of their manifest; those without a
    sha256 in the card are read for it. InvalidRequest where there is no such file, or no storage to put it.
    """
    uri = card.weights.uri
    scheme = scheme_of(uri)
    if not scheme:
        return _uploaded(card, options)
    if scheme not in CLUSTER_SCHEMES:
        raise InvalidRequest(f"{card.model_name}: weights.uri: a cluster cannot fetch from {shown(uri)}")
    return Deployed(_remote(card.weights, options.storage_uri or uri))


def manifest_bytes(files: dict[str, WeightFile]) -> bytes:
    """`kelp-weights.json` of these files, the same bytes for the same content."""
    roles = {role: {"file": entry.file, "sha256": entry.sha256} for role, entry in files.items()}
    return (json.dumps(roles, sort_keys=True, indent=1) + "\n").encode()


def _uploaded(card: Card, options: RenderOptions) -> Deployed:
    root = Path(card.weights.uri)
    listed = card.weights.files
    if not listed and root.is_dir():
        listed = read_manifest(root / MANIFEST, source=str(root / MANIFEST))
    if listed:
        local = {role: root / entry.file for role, entry in listed.items()}
    else:
        listed, local = {MAIN_ROLE: WeightFile(file=root.name, sha256=card.weights.sha256)}, {MAIN_ROLE: root}
    files = {
        role: WeightFile(file=entry.file, sha256=entry.sha256 or _sha256(card, local[role]))
        for role, entry in sorted(listed.items())
    }
    manifest = manifest_bytes(files)
    folder = hashlib.sha256(manifest).hexdigest()
    uri = options.storage_uri
    if uri is None:
        if options.storage is None:
            raise InvalidRequest(
                f"{card.model_name}: weights.uri: {root.name} lies on this machine, and no storage of the cluster is "
                "named to put it (such as s3://bucket/weights or pvc://claim)"
            )
        uri = f"{options.storage.rstrip('/')}/{folder}"
    return Deployed(Weights(uri=uri, files=files), manifest, local)


def _sha256(card: Card, path: Path) -> str:
    from kelp.weights.cache import sha256_of

    try:
        return sha256_of(path)
    except OSError as error:
        raise InvalidRequest(
            f"{card.model_name}: weights: {path.name} has no sha256 in the card and cannot be read: {error.strerror}"
        ) from None


def _remote(weights: Weights, uri: str) -> Weights:
    """One file becomes a folder's file where KServe mounts or fetches folders only."""
    if weights.files or uri.endswith("/") or not PurePosixPath(uri).suffix:
        return Weights(uri=uri.rstrip("/"), files=weights.files, sha256=weights.sha256)
    scheme = scheme_of(uri)
    entry = WeightFile(file=base_name(uri), sha256=weights.sha256)
    if scheme == "hf":
        owner, _, rest = uri.removeprefix("hf://").partition("/")
        repository, _, path = rest.partition("/")
        if path:
            return Weights(
                uri=f"hf://{owner}/{repository}", files={MAIN_ROLE: WeightFile(file=path, sha256=entry.sha256)}
            )
    if scheme == "pvc":
        return Weights(uri=uri.rpartition("/")[0], files={MAIN_ROLE: entry})
    if scheme == "oci":
        return weights
    return Weights(uri=uri, files={MAIN_ROLE: entry})
