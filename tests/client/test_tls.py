"""TLS: a certificate that the configuration names is trusted; another one is refused at once, and never waited for."""

from __future__ import annotations

import datetime
import ipaddress
import ssl

import grpc
import pytest

from kelp.client import NotTrusted
from tests.client.calling import REQUEST, call
from tests.client.grpc_server import grpc_server
from tests.client.http_server import http_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate file, key file) of a server at 127.0.0.1 that signed itself."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server(kind, certificate):
    cert, key = certificate
    if kind.startswith("rest"):
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(cert, key)
        held = http_server(tls=tls)
    else:
        held = grpc_server(tls=grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())]))
    with held as one:
        yield one


def test_a_certificate_of_the_configuration_is_trusted(kind, server, certificate):
    assert call(kind, server.url, "infer", REQUEST, config={"ca": str(certificate[0])}).id == "7"


def test_another_one_is_refused_at_once(kind, server):
    with pytest.raises(NotTrusted):
        call(kind, server.url, "infer", REQUEST, config={"cold_start_s": 1000.0})
    assert not server.requests
