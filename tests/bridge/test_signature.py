"""Whose deliveries are taken: those that a secret of ours signed, over the bytes as they came."""

import pytest

from bridge.events.signature import is_signed
from tests.bridge.recorded import SECRET, conversations

SIGNED = [recorded for recorded in conversations() if recorded.signature]


def test_every_recorded_signature_is_accepted() -> None:
    assert len(SIGNED) > 50
    wrong = [r.place for r in SIGNED if not is_signed(r.raw, (r.signature or "").encode(), [SECRET])]
    assert not wrong


@pytest.mark.parametrize("secrets", [[b"new", SECRET], [SECRET, b"new"]])
def test_while_a_secret_is_rotated_both_are_good(secrets: list[bytes]) -> None:
    recorded = SIGNED[0]
    assert is_signed(recorded.raw, (recorded.signature or "").encode(), secrets)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw, signature: (raw + b" ", signature),
        lambda raw, signature: (raw.replace(b'"id": 55', b'"id": 56'), signature),
        lambda raw, signature: (raw, None),
        lambda raw, signature: (raw, b""),
        lambda raw, signature: (raw, signature.removeprefix(b"sha256=")),
        lambda raw, signature: (raw, signature[:-1]),
        lambda raw, signature: (raw, b"sha1=" + signature[7:]),
        lambda raw, signature: (raw, b"sha256=\xff\xfe"),
    ],
)
def test_a_forged_delivery_is_not(spoil: object) -> None:
    recorded = next(r for r in SIGNED if b'"id": 55' in r.raw)
    raw, signature = spoil(recorded.raw, (recorded.signature or "").encode())  # type: ignore[operator]
    assert not is_signed(raw, signature, [SECRET])


def test_without_secrets_nothing_is_signed() -> None:
    assert not is_signed(SIGNED[0].raw, (SIGNED[0].signature or "").encode(), [])
