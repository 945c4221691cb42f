"""Large files into S3 in parts, so that an upload that broke off goes on where it was.

Signature: AWS Signature Version 4, "Signing AWS API requests" in the IAM user guide; the calls are S3's
ListMultipartUploads, ListParts, CreateMultipartUpload, UploadPart and CompleteMultipartUpload.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from kelp.deploy.cluster.bundle import OnBytes
from kelp.errors import Forbidden, KelpError, NotFound, Unreachable

PART = 16 << 20
"""Bytes of every part but the last: 10,000 of them, S3's most, are 160 GB."""
_TRIES = 5
_SAFE = "-_.~"


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key; `token` belongs to temporary ones."""

    access: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


class Multipart:
    """One bucket, addressed by path. `endpoint`: empty is AWS' own of that region."""

    def __init__(self, http: Any, endpoint: str, region: str, bucket: str, keys: Keys) -> None:
        self._http = http
        self._endpoint = (endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
        self._region = region
        self._bucket = bucket
        self._keys = keys

    def upload(self, key: str, path: Path, on_bytes: OnBytes) -> None:
        """The file under `key`; parts that an earlier try has sent are not sent again. Forbidden, NotFound (the
        bucket), Unreachable."""
        upload_id = self._unfinished(key) or self._begin(key)
        there = self._parts(key, upload_id)
        tags: dict[int, str] = {}
        with path.open("rb") as file:
            number = 0
            while data := file.read(PART):
                number += 1
                size, tag = there.get(number, (-1, ""))
                if size != len(data):
                    query = {"partNumber": str(number), "uploadId": upload_id}
                    tag = self._call("PUT", key, query, data).headers.get("etag", "")
                tags[number] = tag
                on_bytes(len(data))
        listed = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{html.escape(t)}</ETag></Part>" for n, t in tags.items()
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        answer = self._call("POST", key, {"uploadId": upload_id}, body).text
        if "<Error>" in answer:  # S3 may find out after it has begun to answer 200
            raise Unreachable(f"{self._endpoint}/{self._bucket}: {_value(answer, 'Message') or 'the upload failed'}")

    def _unfinished(self, key: str) -> str:
        text = self._call("GET", "", {"uploads": "", "prefix": key}).text
        for upload in re.findall(r"<Upload>.*?</Upload>", text, re.DOTALL):
            if _value(upload, "Key") == key:
                return _value(upload, "UploadId")
        return ""

    def _begin(self, key: str) -> str:
        return _value(self._call("POST", key, {"uploads": ""}).text, "UploadId")

    def _parts(self, key: str, upload_id: str) -> dict[int, tuple[int, str]]:
        """number → (bytes, ETag) of those that are there."""
        found: dict[int, tuple[int, str]] = {}
        marker = "0"
        while True:
            text = self._call("GET", key, {"uploadId": upload_id, "part-number-marker": marker}).text
            for part in re.findall(r"<Part>.*?</Part>", text, re.DOTALL):
                found[int(_value(part, "PartNumber"))] = (int(_value(part, "Size")), _value(part, "ETag"))
            following = _value(text, "NextPartNumberMarker")
            if _value(text, "IsTruncated") != "true" or following in {"", marker}:
                return found
            marker = following

    def _call(self, method: str, key: str, query: Mapping[str, str], body: bytes = b"") -> Any:
        """Repeated where the connection broke or the store is not well: every one of these calls may be."""
        import httpx

        at = urlsplit(self._endpoint)
        path = "/" + quote("/".join(filter(None, (at.path.strip("/"), self._bucket, key))), safe="/" + _SAFE)
        url = f"{at.scheme}://{at.netloc}{path}?{_query(query)}"
        for attempt in range(_TRIES):
            try:
                headers = signed_headers(
                    self._keys, self._region, method, at.netloc, path, query, body, datetime.now(UTC)
                )
                response = self._http.request(method, url, headers=headers, content=body)
            except httpx.HTTPError as error:
                failure: KelpError = Unreachable(f"{self._endpoint}: {error or type(error).__name__}")
            else:
                if response.status_code < 400:
                    return response
                failure = self._error(response)
                if response.status_code < 500:
                    raise failure
            if attempt < _TRIES - 1:
                time.sleep(0.5 * 2**attempt)
        raise failure

    def _error(self, response: Any) -> KelpError:
        where = f"{self._endpoint}/{self._bucket}"
        told = _value(response.text, "Message") or f"it answered {response.status_code}"
        kind = {401: Forbidden, 403: Forbidden, 404: NotFound}.get(response.status_code, Unreachable)
        return kind(f"{where}: {told}")


def signed_headers(
    keys: Keys, region: str, method: str, host: str, path: str, query: Mapping[str, str], body: bytes, now: datetime
) -> dict[str, str]:
    """The headers that make S3 take the request; `path` is percent-encoded, `now` in UTC."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    request = "\n".join([method, path, _query(query), *lines, "", names, digest])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = b"AWS4" + keys.secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _query(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(k, safe=_SAFE)}={quote(v, safe=_SAFE)}" for k, v in sorted(query.items()))


def _value(text: str, name: str) -> str:
    """The text of the first element `name`; S3's answers have no nested ones of a name."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return html.unescape(found[1]) if found else ""
