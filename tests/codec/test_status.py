"""An error means the same on both sides of the wire, over REST and over gRPC."""

from __future__ import annotations

import pytest

from kelp import errors
from kelp.codec.status import error_from_grpc, grpc_details, grpc_status, retry_after_s, trailing_metadata

STATUSES = {
    errors.InvalidRequest: "INVALID_ARGUMENT",
    errors.InvalidImage: "INVALID_ARGUMENT",
    errors.Unauthorized: "UNAUTHENTICATED",
    errors.Forbidden: "PERMISSION_DENIED",
    errors.NotFound: "NOT_FOUND",
    errors.Conflict: "FAILED_PRECONDITION",
    errors.TooLarge: "RESOURCE_EXHAUSTED",
    errors.QueueFull: "RESOURCE_EXHAUSTED",
    errors.KelpError: "INTERNAL",
    errors.NotSupported: "UNIMPLEMENTED",
    errors.BadGateway: "UNAVAILABLE",
    errors.NotReady: "UNAVAILABLE",
    errors.OutOfMemory: "UNAVAILABLE",
    errors.Unreachable: "UNAVAILABLE",
    errors.TooLate: "DEADLINE_EXCEEDED",
}


@pytest.mark.parametrize(("kind", "status"), STATUSES.items())
def test_every_error_comes_back_as_itself(kind, status):
    error = kind("why", image_indices=[3, 1], retry_after_s=2.5)
    assert grpc_status(error) == status
    back = error_from_grpc(status, grpc_details(error), dict(trailing_metadata(error)))
    assert type(back) is kind
    assert (back.message, back.code, back.image_indices, back.retry_after_s) == ("why", error.code, [3, 1], 2.5)


def test_a_code_of_its_own_travels_too():
    error = errors.InvalidRequest("why", code="unknown_parameter")
    back = error_from_grpc(grpc_status(error), "why", dict(trailing_metadata(error)))
    assert (type(back), back.code) == (errors.InvalidRequest, "unknown_parameter")


@pytest.mark.parametrize(
    ("status", "details", "kind"),
    [
        ("UNAVAILABLE", "starting", errors.NotReady),
        ("NOT_FOUND", "no such model", errors.NotFound),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)", errors.TooLarge),
        ("RESOURCE_EXHAUSTED", "too many", errors.QueueFull),
        ("UNKNOWN", "", errors.KelpError),
        ("DATA_LOSS", "", errors.KelpError),
    ],
)
def test_statuses_of_other_servers_are_understood(status, details, kind):
    assert type(error_from_grpc(status, details, {})) is kind


def test_a_code_that_contradicts_the_status_is_not_believed():
    assert type(error_from_grpc("NOT_FOUND", "", {"kelp-code": "out_of_memory"})) is errors.NotFound


def test_what_is_too_long_for_metadata_is_cut_at_a_number():
    error = errors.InvalidImage("x" * 5000, image_indices=range(5000))
    metadata = dict(trailing_metadata(error))
    assert len(grpc_details(error)) + sum(map(len, metadata.values())) < 6000
    indices = [int(i) for i in metadata["kelp-image-indices"].split(",")]
    assert indices == list(range(len(indices)))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("3", 3.0), ("0.5", 0.5), ("-1", None), ("nan", None), ("inf", None), ("Wed, 21 Oct 2015", None)],
)
def test_retry_after(value, seconds):
    assert retry_after_s(value) == seconds
