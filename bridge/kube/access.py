"""Where the API server is and how to speak to it: the pod's service account, or a kubeconfig outside a cluster."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kelp.settings.process import SettingsError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The kubelet renews a pod's token long before it ends; whoever reads it once a minute always has a valid one.
TOKEN_SECONDS = 60.0


class Token:
    """A bearer token, read anew from its file from time to time; None where the user has none."""

    def __init__(self, given: str | None = None, file: Path | None = None) -> None:
        self._value = given
        self._file = file
        self._read_at = float("-inf")

    def read(self, *, anew: bool = False) -> str | None:
        """The token now. `anew`: the one that was read before was refused."""
        if self._file is not None and (anew or time.monotonic() - self._read_at > TOKEN_SECONDS):
            try:
                self._value = self._file.read_text(encoding="utf-8").strip()
                self._read_at = time.monotonic()
            except OSError:  # being exchanged, or gone: the one that is known may still be good
                pass
        return self._value


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """namespace: our own. basic: user and password. proxies: whether those of the environment are respected."""

    url: str
    namespace: str
    trust: ssl.SSLContext
    token: Token
    basic: tuple[str, str] | None = None
    proxies: bool = False


def cluster_access(service_account: Path = SERVICE_ACCOUNT) -> ClusterAccess:
    """By `KUBECONFIG`, else the pod's service account, else `~/.kube/config`. SettingsError where there is none."""
    given = [Path(part).expanduser() for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if not given and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _of_the_pod(service_account)
    for path in given or [Path.home() / ".kube" / "config"]:
        if path.is_file():
            return _of_kubeconfig(path)
    raise SettingsError(
        "KELP_V2_URL: kubernetes: no cluster is known here: neither a pod's service account nor a kubeconfig"
    )


def _of_the_pod(folder: Path) -> ClusterAccess:
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        namespace = (folder / "namespace").read_text(encoding="utf-8").strip()
        trust = ssl.create_default_context(cafile=folder / "ca.crt")
    except OSError as error:
        raise SettingsError(f"KELP_V2_URL: kubernetes: {folder}: {error.strerror}: no service account token") from None
    host = f"[{host}]" if ":" in host else host
    return ClusterAccess(f"https://{host}:{port}", namespace, trust, Token(file=folder / "token"))


def _of_kubeconfig(path: Path) -> ClusterAccess:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        context = _named(config, "contexts", config.get("current-context"))["context"]
        cluster = _named(config, "clusters", context.get("cluster"))["cluster"]
        user = _named(config, "users", context.get("user"))["user"] or {}
        url = str(cluster["server"]).rstrip("/")
        trust = _trust(cluster, user, path.parent)
    except (OSError, yaml.YAMLError, ssl.SSLError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"KELP_V2_URL: kubernetes: {path} cannot be used ({type(error).__name__})") from None
    if "exec" in user or "auth-provider" in user:
        raise SettingsError(f"KELP_V2_URL: kubernetes: {path}: users that run a program for their token are not known")
    file = _beside(path.parent, user.get("tokenFile"))
    token = Token(user.get("token"), file)
    basic = (user["username"], user["password"]) if user.get("username") and user.get("password") else None
    return ClusterAccess(url, context.get("namespace") or "default", trust, token, basic, proxies=True)


def _named(config: Mapping[str, Any], kind: str, name: str | None) -> Any:
    for entry in config.get(kind) or ():
        if entry["name"] == name:
            return entry
    raise KeyError(name)


def _trust(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    trust = ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify"):
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    elif authority := _content(cluster, "certificate-authority", folder):
        trust = ssl.create_default_context(cadata=authority.decode())
    certificate, key = (_content(user, name, folder) for name in ("client-certificate", "client-key"))
    if certificate and key:
        # OpenSSL takes them from a file only.
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            trust.load_cert_chain(file.name)
    return trust


def _content(entry: Mapping[str, Any], name: str, folder: Path) -> bytes | None:
    """What stands in `NAME-data`, or in the file that `NAME` names."""
    if data := entry.get(f"{name}-data"):
        return base64.b64decode(data)
    file = _beside(folder, entry.get(name))
    return file.read_bytes() if file is not None else None


def _beside(folder: Path, name: str | None) -> Path | None:
    return folder / Path(name).expanduser() if name else None
