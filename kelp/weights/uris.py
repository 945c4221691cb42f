"""Addresses of weights: their scheme, files below a folder, and how they are shown to people."""

from __future__ import annotations

import ipaddress
import os
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit, urlunsplit

from kelp.weights.errors import WeightsError

REMOTE_SCHEMES = ("https", "http", "s3", "gs", "hf")
ON_CLUSTER_ONLY = ("pvc", "oci")


def scheme_of(uri: str) -> str:
    """`https`, `s3`…; empty for a path."""
    return uri.split("://", 1)[0].lower() if "://" in uri else ""


def shown(uri: str) -> str:
    """`uri` without user, password and query, which may hold credentials."""
    if not scheme_of(uri):
        return uri
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, ("***@" if "@" in parts.netloc else "") + host, parts.path, "", "")) + (
        "?***" if parts.query else ""
    )


def check_relative(name: str, where: str) -> str:
    """`name` if it is a plain path below a folder; WeightsError where it would leave it."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise WeightsError(f"{where}: expected a file name below the folder of the weights, got {name!r}")
    return name


def below(folder: str, name: str) -> str:
    """The address of file `name` in the folder at address `folder`; a query of the folder's stays at the end."""
    parts = urlsplit(folder)
    path = parts.path.rstrip("/") + "/" + quote(name)
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def base_name(uri: str) -> str:
    """The last part of the address's path: cached files keep it, because its suffix tells the format."""
    name = PurePosixPath(urlsplit(uri).path).name
    if not name:
        raise WeightsError(f"{shown(uri)}: expected the address of a file")
    return name


def is_loopback(uri: str) -> bool:
    host = urlsplit(uri).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hub_url(uri: str) -> str:
    """`hf://org/repo[:revision]/path` → the hub's address of that file (its `resolve` endpoint)."""
    owner, _, rest = uri.removeprefix("hf://").partition("/")
    repo, _, path = rest.partition("/")
    repo, _, revision = repo.partition(":")
    if not (owner and repo and path):
        raise WeightsError(f"{shown(uri)}: expected hf://organisation/repository[:revision]/file")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return f"{endpoint}/{owner}/{repo}/resolve/{quote(revision or 'main', safe='')}/{path}"
