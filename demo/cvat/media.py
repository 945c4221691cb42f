"""Pictures: what is kept of an upload, and what is made of it when it is read."""

from __future__ import annotations

import io
import mimetypes
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import cv2
from PIL import Image, ImageOps

from demo.cvat.tables import Frame

VIDEO_CHUNK = 36
POINT_CLOUD = "image/x.point-cloud-data"
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/x-webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
UNCHANGED = {"JPEG", "PNG", "WEBP", "BMP"}
"""Formats whose uploaded bytes are given back as they came, unless EXIF turns the picture."""
SAVING: Mapping[str, Mapping[str, object]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "TIFF": {"compression": "tiff_lzw"},
}
ORIENTATION = 0x0112


def kind_of(name: str) -> str:
    """image, video, points, archive or "" by the file's name, as the server tells media from the rest."""
    if name.endswith(".pcd"):
        return "points"
    media_type, _ = mimetypes.guess_type(name)
    if media_type == "application/zip":
        return "archive"
    main = (media_type or "").partition("/")[0]
    return main if main in ("image", "video") else ""


def base_name(name: str) -> str:
    """Clients send whole local paths; folders are lost."""
    return PurePosixPath(name.replace("\\", "/")).name


def frame_of(name: str, content: bytes) -> Frame:
    """An uploaded picture or point cloud as a frame. Raises OSError for one that cannot be read."""
    if kind_of(name) == "points":
        size = {
            field: int(value) for field, value in re.findall(r"^(WIDTH|HEIGHT) (\d+)", content.decode("latin-1"), re.M)
        }
        return Frame(name, size.get("WIDTH", 0), size.get("HEIGHT", 0), content, POINT_CLOUD)
    with Image.open(io.BytesIO(content)) as image:
        form = image.format or ""
        turned = image.getexif().get(ORIENTATION, 1) != 1
        if form in UNCHANGED and not turned:
            image.load()
            return Frame(name, image.width, image.height, content, MEDIA_TYPES[form])
        upright = ImageOps.exif_transpose(image)
        form = form if form in MEDIA_TYPES else "PNG"
        buffer = io.BytesIO()
        upright.save(buffer, form, **SAVING.get(form, {}))
        return Frame(name, upright.width, upright.height, buffer.getvalue(), MEDIA_TYPES[form])


def frames_of_archive(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The pictures of a zip with their names, folders included."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if kind_of(name) == "image":
                yield name, archive.read(name)


def frames_of_video(name: str, content: bytes) -> list[Frame]:
    """Every picture of a video as PNG, which is how the server hands out a video's frames."""
    with tempfile.NamedTemporaryFile(suffix=PurePosixPath(name).suffix) as file:
        file.write(content)
        file.flush()
        capture = cv2.VideoCapture(file.name)
        frames = []
        while True:
            read, pixels = capture.read()
            if not read:
                break
            height, width = pixels.shape[:2]
            frames.append(Frame(name, width, height, cv2.imencode(".png", pixels)[1].tobytes(), "image/png"))
        capture.release()
    return frames


def chunk_size(frames: Sequence[Frame]) -> int:
    """How many frames the server packs into one chunk: about 36 of 1920 × 1080 pixels, at most 72."""
    area = max(frame.width * frame.height for frame in frames)
    return max(2, min(72, 36 * 1920 * 1080 // area))


def compressed(frame: Frame, quality: int, *, video: bool) -> tuple[bytes, str]:
    """`frame` in compressed quality: a JPEG of the same size, of a video a PNG."""
    if video:
        return frame.content, frame.media_type
    return _jpeg(frame, quality, frame.width), "image/jpeg"


def preview(frame: Frame) -> bytes:
    return _jpeg(frame, 75, 256)


def _jpeg(frame: Frame, quality: int, width: int) -> bytes:
    with Image.open(io.BytesIO(frame.content)) as image:
        image.thumbnail((width, frame.height))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=max(1, quality))
    return buffer.getvalue()


def chunk(frames: Sequence[Frame], quality: int | None) -> tuple[bytes, str]:
    """A zip of `frames`, in compressed quality where `quality` is given, and its checksum."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index, frame in enumerate(frames):
            if quality is None:
                suffix = {"image/jpeg": "jpg", "image/x-webp": "webp"}.get(
                    frame.media_type, frame.media_type.partition("/")[2]
                )
                archive.writestr(f"{index:06d}.{suffix}", frame.content)
            else:
                archive.writestr(f"{index:06d}.jpeg", compressed(frame, quality, video=False)[0])
    content = buffer.getvalue()
    return content, str(zlib.crc32(content))


def natural(name: str) -> list[tuple[int, int | str]]:
    """Sorting key that takes digits as numbers: `quadrat_2` before `quadrat_10`."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]
