"""What CVAT's record of a delivery says about the way from CVAT to the bridge, and what to do about it.

A delivery that was not answered has status 502 (no connection) or 504 (10 s without an answer). CVAT sends through
smokescreen, which refuses addresses that are not public: with 407 and a text of its own, over https with an empty 502.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from kelp.pipeline.findings import Finding, fails, ok

GUARD = "Egress proxying is denied"
_BEHIND_GUARD = ("Failed to connect to remote host", "Failed to resolve remote host")
REACHED = frozenset({200, 201, 202, 204, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503})


def of_delivery(link: str, address: str, delivery: Mapping[str, Any], *, file: str, bridge_at: str) -> Finding:
    """The finding for a ping's `delivery`. bridge_at: where the bridge answers those who ask from here; "" nowhere."""
    status = int(delivery.get("status_code") or 0)
    text = str(delivery.get("response") or "")
    if 200 <= status < 300:
        if _json(text).get("outcome") == "pong":
            return ok(link, "CVAT reaches the bridge, which accepts the secret")
        return fails(
            link,
            f"something answers at {_base(address)}, but not as the bridge does",
            f"another program has that address: correct `bridge` in {file} (or KELP_PUBLIC_URL), then "
            f"`kelp pipeline apply {file}`",
        )
    if status == 407 or GUARD in text:
        return _guarded(link, address, text)
    if status in {502, 504} and not _json(text):
        return _unreached(link, address, status, text, bridge_at)
    told = _json(text)
    message = str(told.get("error") or "")
    if not message:
        return fails(
            link,
            f"{_base(address)} answered CVAT with {status}, and not as the bridge does",
            f"another program, or a proxy before the bridge, has that address: correct `bridge` in {file} (or "
            "KELP_PUBLIC_URL)",
        )
    return _refused(link, status, str(told.get("code") or ""), message, file)


def _refused(link: str, status: int, code: str, message: str, file: str) -> Finding:
    if status == 401 and "no webhook secret is configured" in message:
        return fails(
            link,
            f"the bridge answered 401: {message}",
            "start the bridge with KELP_WEBHOOK_SECRETS, the same as here",
            "denied",
        )
    if status == 401:
        return fails(
            link,
            "wrong secret: the bridge answered 401 to CVAT's signature",
            f"`kelp pipeline apply {file} --rotate-secret`, with the KELP_WEBHOOK_SECRETS that the bridge has",
            "denied",
        )
    if code == "no_such_model":
        return fails(
            link,
            f"the bridge knows no such model: {message}",
            f"correct the name in {file}, or bring the model: its card into the folder of `kelp up`, or "
            "`kelp deploy CARD`",
        )
    if status == 404:
        return fails(
            link,
            f"the bridge answered 404: {message}",
            "the bridge is older than this command line: `kelp version` names both",
        )
    if status >= 500:
        return fails(
            link,
            f"the bridge cannot write down what comes: {message}",
            "its log says more (`kelp logs bridge`), and so does /health/ready on its port 8001",
            "unreachable",
        )
    return fails(link, f"the bridge answered {status}: {message}", f"correct the webhook in {file} and apply it")


def _guarded(link: str, address: str, text: str) -> Finding:
    host = urlsplit(address).hostname or ""
    match = re.search(r"\(([0-9a-fA-F.:]+)\)|- ([0-9a-fA-F.:]+) denied", text)
    where = (match[1] or match[2]) if match else _resolved(host)
    span = f"{where}/{128 if ':' in where else 32}" if where else "10.0.0.0/8"
    return fails(
        link,
        f"CVAT's guard against private addresses refuses {host}" + (f" ({where})" if where and where != host else ""),
        f"allow it where CVAT runs: SMOKESCREEN_OPTS=--allow-range={span} (helm: smokescreen.opts), or the bridge's "
        "whole network, and restart CVAT's server and webhook worker",
        "unreachable",
    )


def _unreached(link: str, address: str, status: int, text: str, bridge_at: str) -> Finding:
    base = _base(address)
    host = urlsplit(address).hostname or ""
    behind = next((line for line in text.splitlines() if line.startswith(_BEHIND_GUARD)), "")
    why = "nothing within 10 s" if status == 504 else "no connection"
    if behind:
        why = behind.rstrip(". ")
    if not bridge_at:
        return fails(
            link,
            f"CVAT does not reach {base}: {why}; nor does the bridge answer from here",
            "the bridge is down: start it first (`kelp up`, or `kelp bridge`), or, where it runs elsewhere, say so by "
            "KELP_BRIDGE_URL",
            "unreachable",
        )
    if _is_loopback(host):
        advice = (
            f"{host} is CVAT's own machine or container: write the bridge's address as CVAT sees it into `bridge` (or "
            "KELP_PUBLIC_URL), and let the bridge listen there (KELP_HOST, KELP_PORT)"
        )
    else:
        advice = (
            f"`bridge` (or KELP_PUBLIC_URL) must be the bridge as CVAT sees it: try `curl {base}/health/live` beside "
            "CVAT, and look at KELP_HOST, firewalls and network policies on the way"
        )
    if urlsplit(address).scheme == "https" or _is_private(host):
        advice += "; if it works there, CVAT's guard refuses it: SMOKESCREEN_OPTS=--allow-range=…"
    return fails(
        link, f"CVAT does not reach {base}: {why}; from here the bridge answers at {bridge_at}", advice, "unreachable"
    )


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _base(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _resolved(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)[0][4][0])
    except OSError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_private(host: str) -> bool:
    where = _resolved(host)
    return bool(where) and not ipaddress.ip_address(where.partition("%")[0]).is_global
