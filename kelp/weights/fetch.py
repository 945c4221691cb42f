"""role → verified local file, for a card's weights; the only door that the other rooms use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kelp.card import Card
from kelp.weights.cache import folder_of_content, folder_of_uri, locked, publish, sha256_of, short_hash
from kelp.weights.download import download, forget, noted_version, version_of
from kelp.weights.errors import WeightsError
from kelp.weights.manifest import MANIFEST, read_manifest
from kelp.weights.sources import check_scheme, source_of
from kelp.weights.uris import base_name, below, check_relative, scheme_of, shown

Progress = Callable[[str, int, int | None], None]
"""Called with (file name, bytes so far, bytes in all or None). What it raises ends the fetch; `.part` files stay."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file of a card's weights."""

    role: str
    uri: str  # of this one file
    sha256: str | None


def fetch(card: Card, cache: Path, progress: Progress | None = None) -> dict[str, Path]:
    """The files of `card.weights` by role, on this machine, each with the sha256 that the card or manifest gives.

    A path is verified where it lies. Anything else is fetched once into `cache`, resumed where it broke off, and
    verified on every call. Raises WeightsError naming the file, and with a wrong content the two sha256.
    """
    return {
        wanted.role: verified_in_place(wanted) if not scheme_of(wanted.uri) else _fetched(wanted, cache, progress)
        for wanted in _files_of(card, cache, progress)
    }


def is_cached(card: Card, cache: Path) -> bool:
    """Whether `fetch` would transfer nothing, as far as can be told without reading the files or asking a server."""
    weights = card.weights
    if not scheme_of(weights.uri):
        return True
    if not weights.files and weights.uri.endswith("/"):
        return False
    return all(
        wanted.sha256 is not None and (folder_of_content(cache, wanted.sha256) / base_name(wanted.uri)).is_file()
        for wanted in files_listed(card)
    )


def _files_of(card: Card, cache: Path, progress: Progress | None) -> Iterator[Wanted]:
    """What to fetch; a folder without `files` in the card is described by its own manifest."""
    uri = card.weights.uri
    local = not scheme_of(uri)
    if card.weights.files or not (Path(uri).is_dir() if local else uri.endswith("/")):
        yield from files_listed(card)
    elif local:
        yield from files_of_folder(card)
    else:
        manifest = Wanted("manifest", below(uri, MANIFEST), card.weights.sha256)
        path = _fetched(manifest, cache, progress)
        for role, entry in read_manifest(path, source=shown(manifest.uri)).items():
            yield Wanted(role, below(uri, entry.file), entry.sha256)


def files_of_folder(card: Card) -> Iterator[Wanted]:
    """Those of a folder on this machine, as its manifest says. WeightsError where that is missing or wrong."""
    folder = Path(card.weights.uri)
    path = verified_in_place(Wanted("manifest", str(folder / MANIFEST), card.weights.sha256))
    for role, entry in read_manifest(path, source=str(path)).items():
        yield Wanted(role, str(folder / entry.file), entry.sha256)


def files_listed(card: Card) -> Iterator[Wanted]:
    """Those that the card itself names."""
    uri = card.weights.uri
    for role, entry in card.weights.by_role().items():
        if not entry.file:
            yield Wanted(role, uri, entry.sha256)
            continue
        check_relative(entry.file, f"{card.model_name}: weights.files.{role}.file")
        yield Wanted(role, below(uri, entry.file) if scheme_of(uri) else str(Path(uri) / entry.file), entry.sha256)


def verified_in_place(wanted: Wanted) -> Path:
    """A file of this machine. WeightsError where it is not there, or not what its sha256 says."""
    path = Path(wanted.uri)
    if not path.is_file():
        kind = "a folder, and a file was expected" if path.is_dir() else "no such file"
        raise WeightsError(f"{path}: {kind} (weights of the role '{wanted.role}')")
    try:
        found = sha256_of(path) if wanted.sha256 else None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    if found != wanted.sha256:
        raise WeightsError(_mismatch(str(path), wanted.sha256, found))
    return path


def _fetched(wanted: Wanted, cache: Path, progress: Progress | None) -> Path:
    check_scheme(wanted.uri, sha256=wanted.sha256)
    name = base_name(wanted.uri)

    def on_bytes(done: int, total: int | None) -> None:
        if progress is not None:
            progress(name, done, total)

    try:
        if wanted.sha256 is None:
            return _by_version(wanted.uri, name, cache, on_bytes)
        return _by_content(wanted.uri, name, wanted.sha256, cache, on_bytes)
    except OSError as error:
        raise WeightsError(f"{shown(wanted.uri)}: cannot be stored in {cache}: {error.strerror or error}") from None


def _by_content(uri: str, name: str, sha256: str, cache: Path, on_bytes: Callable[[int, int | None], None]) -> Path:
    folder = folder_of_content(cache, sha256)
    final = folder / name
    if final.is_file() and sha256_of(final) == sha256:
        return final
    source = source_of(uri)
    part = folder / f"{name}.part"
    with locked(folder):
        if final.is_file():  # another process was quicker, or what lies there is damaged
            if sha256_of(final) == sha256:
                return final
            final.unlink()
        while True:
            resumed = part.exists()
            download(source, uri, part, known_content=True, on_bytes=on_bytes)
            found = sha256_of(part)
            if found == sha256:
                publish(part, final)
                forget(part)
                return final
            forget(part)
            if not resumed:  # else the first half may have been another file's: once more, from the start
                raise WeightsError(_mismatch(shown(uri), sha256, found) + "; it is not kept")


def _by_version(uri: str, name: str, cache: Path, on_bytes: Callable[[int, int | None], None]) -> Path:
    """Without a sha256 the server is asked each time which version it has; that one is fetched once."""
    source = source_of(uri)
    folder = folder_of_uri(cache, uri)
    with locked(folder):
        version = version_of(source, uri)
        final = _place_of_version(folder, version) / name
        if version and final.is_file():
            return final
        part = folder / f"{name}.part"
        download(source, uri, part, known_content=False, on_bytes=on_bytes)
        final = _place_of_version(folder, noted_version(part, uri)) / name
        final.parent.mkdir(exist_ok=True)
        publish(part, final)
        forget(part)
        return final


def _place_of_version(folder: Path, version: str | None) -> Path:
    return folder / (short_hash(version) if version else "unknown")


def _mismatch(where: str, expected: str | None, found: str | None) -> str:
    return f"{where}: wrong content: expected sha256 {expected}, found {found}"
