"""What is wrong with a card's weights, as far as it can be told without transferring anything."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from kelp.card import Card
from kelp.weights.errors import WeightsError
from kelp.weights.fetch import Wanted, files_listed, files_of_folder, verified_in_place
from kelp.weights.sources import check_scheme
from kelp.weights.uris import ON_CLUSTER_ONLY, base_name, hub_url, scheme_of, shown


def weights_faults(card: Card) -> list[str]:
    """A line for each fault, its field first: an address that cannot be fetched from, a file that is not there or not
    what its sha256 says. Files of this machine are read; a cluster's mounts (pvc, oci) are taken as they are."""
    uri, scheme = card.weights.uri, scheme_of(card.weights.uri)
    if scheme in ON_CLUSTER_ONLY:
        return []
    try:
        is_described = not scheme and not card.weights.files and Path(uri).is_dir()
        wanted = list(files_of_folder(card) if is_described else files_listed(card))
    except WeightsError as error:
        return [f"weights: {error.message}"]
    faults = []
    for file in wanted:
        field = f"weights.files.{file.role}" if card.weights.files else "weights"
        try:
            _check_address(file) if scheme else verified_in_place(file)
        except WeightsError as error:
            faults.append(f"{field}: {error.message}")
    return list(dict.fromkeys(faults))


def _check_address(file: Wanted) -> None:
    check_scheme(file.uri, sha256=file.sha256)
    if scheme_of(file.uri) == "hf":
        hub_url(file.uri)
    elif not urlsplit(file.uri).hostname:
        raise WeightsError(f"{shown(file.uri)}: expected a server's or bucket's name after ://")
    if not file.uri.endswith("/"):  # a folder, whose manifest names the files
        base_name(file.uri)
