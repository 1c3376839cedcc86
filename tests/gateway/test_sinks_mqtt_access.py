"""The mqtt sink against a real mosquitto: passwords and certificates."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from siel_gateway.errors import SecretError
from siel_hil.broker import PrivateBroker
from siel_hil.rigs.mqtt_rig import Rig, Run, running, until

pytestmark = pytest.mark.usefixtures("soon")


def test_a_broker_that_refuses_us_is_tried_again(run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        with PrivateBroker(options=["allow_anonymous false"]) as closed:
            async with running(rig.sink(closed.url)) as sink:
                await until(lambda: sink.counters["disconnected"] >= 2)
                assert not sink.connected

    run(body)


def test_a_password_is_read_from_where_the_configuration_says(tmp_path: Path, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        with pytest.raises(SecretError, match="cannot read the secret"):
            rig.sink("mqtt://me@127.0.0.1", password={"file": str(tmp_path / "none")})
        (tmp_path / "pw").write_text("hunter2\n")
        sink = rig.sink("mqtt://me@127.0.0.1", password={"file": str(tmp_path / "pw")})
        assert "hunter2" not in repr(sink)

    run(body)


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


def test_tls_with_the_right_certificate_only(tmp_path: Path, run: Run[None]) -> None:
    async def body(rig: Rig) -> None:
        certificate, key = _certificate(tmp_path, "broker")
        stranger, _ = _certificate(tmp_path, "stranger")
        options = [f"cafile {certificate}", f"certfile {certificate}", f"keyfile {key}"]
        with PrivateBroker(options=options) as secured:
            url = f"mqtts://localhost:{secured.port}"
            async with running(rig.sink(url, tls={"ca": str(certificate)})) as sink:
                rig.observe(sink)
                await until(lambda: sink.pending == 0)
            for tls in ({"ca": str(stranger)}, None):
                async with running(rig.sink(url, tls=tls)) as sink:
                    await until(lambda: sink.counters["disconnected"] >= 1)
                    assert sink.counters["connected"] == 0
        with pytest.raises(SecretError, match="usable"):
            rig.sink(url, tls={"cert": str(certificate), "key": str(certificate)})
        with pytest.raises(SecretError, match="there is no file"):
            rig.sink(url, tls={"ca": str(tmp_path / "none.pem")})

    run(body)
