"""Whose name results are signed in: the installation's certificate and its key.

Those that the environment names, else a pair of the installation's own, made once. Knows nothing of
statements.
"""

from __future__ import annotations

import datetime
import logging
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from talking_face.errors import CredentialsUnusable

CERTIFICATE_VARIABLE = "TALKING_FACE_CERTIFICATE"  # environment variables: PEM files, the chain,
KEY_VARIABLE = "TALKING_FACE_CERTIFICATE_KEY"  # the signer first, and its key (P-256)
YEARS = 10  # that an installation's own certificate holds

logger = logging.getLogger(__name__)


def installed_certificate() -> tuple[bytes, bytes]:
    """The installation's chain of certificates and its key, PEM.

    Raises:
        CredentialsUnusable: the files that the environment names can't be read.
    """
    named = os.environ.get(CERTIFICATE_VARIABLE), os.environ.get(KEY_VARIABLE)
    if not any(named):
        folder = _data_folder()
        return _new_certificate() if folder is None else _own_certificate(folder)
    try:
        certificate, key = (Path(name or "").read_bytes() for name in named)
    except OSError as error:
        raise CredentialsUnusable(
            f"The certificate or its key can't be read ({error.strerror}). Name both, as PEM "
            f"files, in {CERTIFICATE_VARIABLE} and {KEY_VARIABLE}."
        ) from error
    return certificate, key


def _data_folder() -> Path | None:
    """Where programs keep what is a user's own; None for users without a home."""
    base = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(base) if base else Path.home() / ".local/share") / "talking_face"
    except RuntimeError:
        return None


@lru_cache(maxsize=4)
def _own_certificate(folder: Path) -> tuple[bytes, bytes]:
    """The pair of this installation; made where there is none, kept where a folder can be written.

    Where none can, as for users without a home, each process has a pair of its own.
    """
    kept = folder / "signer.pem"
    for _ in range(2):  # another process may be making it
        try:
            chain, key = _parted(kept.read_bytes())
            return chain, key
        except (OSError, ValueError):
            chain, key = _new_certificate()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _put(kept, chain + key)
        except OSError as error:
            logger.info("The signing key isn't kept (%s): it is this process's own.", error)
            return chain, key
    return chain, key


def _put(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, in one step."""
    handle, name = tempfile.mkstemp(dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _parted(data: bytes) -> tuple[bytes, bytes]:
    """Chain and key out of one PEM file; raises ValueError where they aren't usable."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    chain, mark, key = data.partition(b"-----BEGIN PRIVATE KEY-----")
    load_pem_private_key(mark + key, None)
    ends = x509.load_pem_x509_certificates(chain)[0].not_valid_after_utc
    if ends < datetime.datetime.now(datetime.timezone.utc):
        raise ValueError("the certificate has expired")
    return chain, mark + key


def _new_certificate() -> tuple[bytes, bytes]:
    """A chain of two certificates, the signer's and its root's, and the signer's key, PEM.

    The root's key is forgotten at once: it signs nothing else.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = _certificate(signer.public_key(), root, False) + _certificate(
        root.public_key(), root, True
    )
    key = signer.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return chain, key


def _certificate(public: Any, root: Any, is_root: bool) -> bytes:
    """One certificate as C2PA wants it (section 14.5 of its specification), PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(name: str) -> x509.Name:
        parts = (NameOID.ORGANIZATION_NAME, "Talking Face"), (NameOID.COMMON_NAME, name)
        return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])

    now = datetime.datetime.now(datetime.timezone.utc)
    whole = "This installation's root (self-signed)"
    uses = dict.fromkeys(
        "content_commitment key_encipherment data_encipherment key_agreement encipher_only "
        "decipher_only".split(),
        False,
    )
    usage = x509.KeyUsage(
        digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root, **uses
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(whole if is_root else "This installation (self-signed)"))
        .issuer_name(named(whole))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(is_root, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
        )
        .add_extension(usage, critical=True)
    )
    if not is_root:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
