"""Files in place of the uploads of the recordings: of the same form and size in pixels, with other bytes."""

from __future__ import annotations

import base64
import io
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import cv2
import numpy as np
from PIL import Image

from tests.cvat.ids import Mismatch

SIZES = {
    "640x480": ("img_", "alpha.png"),
    "960x640": ("plain.jpg", "rotated.jpg", "scan.tif", "png/quadrat"),
}
HEAD_BYTES = 64
FORMS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF"}


class Media:
    """Uploads by the sha256 of the recorded file: what has one content there has one content here."""

    def __init__(self) -> None:
        self._by_recorded: dict[str, bytes] = {}

    def multipart(self, parts: Sequence[Mapping[str, Any]], boundary: str) -> bytes:
        pieces = []
        for part in parts:
            content = (
                part["body"].encode() if isinstance(part["body"], str) else self.upload(part["filename"], part["body"])
            )
            head = "".join(f"{name}: {value}\r\n" for name, value in part["headers"].items())
            pieces.append(f"--{boundary}\r\n{head}\r\n".encode() + content + b"\r\n")
        return b"".join(pieces) + f"--{boundary}--\r\n".encode()

    def upload(self, name: str, recorded: Mapping[str, Any]) -> bytes:
        """The file for a recorded one."""
        digest = recorded["sha256"]
        if digest not in self._by_recorded:
            self._by_recorded[digest] = self._made(name, recorded)
        return self._by_recorded[digest]

    def _made(self, name: str, recorded: Mapping[str, Any]) -> bytes:
        head = base64.b64decode(recorded["head_base64"])
        if recorded["bytes"] <= HEAD_BYTES:
            return head
        suffix = PurePosixPath(name).suffix
        if suffix == ".mp4":
            return _video(30, (320, 240))
        if suffix == ".zip":
            return self._archive()
        size = next((text for text, names in SIZES.items() if any(mark in name for mark in names)), "1920x1280")
        width, height = map(int, size.split("x"))
        return _picture(width, height, zlib.crc32(recorded["sha256"].encode()), suffix, turned="rotated" in name)

    def _archive(self) -> bytes:
        """The zip of the recordings; it holds the pictures img_01, img_02 and img_00 in folders."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, digest in (
                ("z/2.jpg", "efcebf852100e99ea8d49d21ebb7f9537f2308fa9543f47fba96b05b34a11061"),
                ("a/10.jpg", "90a8d635f48d897a915c0ca4561e87af42c79e2a2f8967e42dd6ffb2b10d556f"),
                ("a/9.jpg", "635ef8e32b57e301fb5c244464a7359aeab2cbec2786b1bf734906190e14642d"),
            ):
                recorded = {"bytes": 1 << 16, "sha256": digest, "head_base64": ""}
                archive.writestr(name, self.upload("img_.jpg", recorded))
        return buffer.getvalue()

    def check(self, recorded: Mapping[str, Any], content: bytes, content_type: str) -> None:
        """A file that came back: the very upload where it was so, else one of the form its type says."""
        if recorded["sha256"] in self._by_recorded:
            if content != self._by_recorded[recorded["sha256"]]:
                raise Mismatch("these are not the bytes that were uploaded")
            return
        if content_type in FORMS:
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                if image.format != FORMS[content_type]:
                    raise Mismatch(f"a {image.format} as {content_type}")
            if content in self._by_recorded.values():
                raise Mismatch("these are the bytes of an upload; the recorded ones were not")
        elif content_type == "application/zip":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if archive.testzip():
                    raise Mismatch("a broken zip")
        elif content_type != "video/mp4":
            raise Mismatch(f"{len(content)} bytes of {content_type}")


def _picture(width: int, height: int, seed: int, suffix: str, *, turned: bool) -> bytes:
    color = (seed & 255, seed >> 8 & 255, seed >> 16 & 255)
    image = Image.new("RGBA" if suffix == ".png" else "RGB", (width, height), color)
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, {".png": "PNG", ".tif": "TIFF"}.get(suffix, "JPEG"), exif=exif)
    return buffer.getvalue()


def _video(frames: int, size: tuple[int, int]) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        writer = cv2.VideoWriter(file.name, cv2.VideoWriter.fourcc(*"mp4v"), 10, size)
        for number in range(frames):
            writer.write(np.full((size[1], size[0], 3), number * 8, np.uint8))
        writer.release()
        return file.read()
