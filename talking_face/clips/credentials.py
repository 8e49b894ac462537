"""Content credentials: the signed statement in every file of how it was made (C2PA).

Follows the specification of the Coalition for Content Provenance and Authenticity, through its own
library, c2pa-python. The statement says that a trained algorithm made the file, with which program,
weights, seed and settings; photo and sound are named by their SHA-256 alone. The certificate and
its key are the installation's: those that it is told, else a pair of its own, made once. Readers
call files of such a pair valid, of an unknown signer: anybody can make one, so it proves that a
file wasn't changed, not who made it.

Nothing here asks a network: neither for statements that lie elsewhere, nor for revoked
certificates, nor for the time.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from talking_face.errors import CredentialsUnusable
from talking_face.files import scratch
from talking_face.version import __version__
from talking_face.weights import WEIGHTS

CERTIFICATE_VARIABLE = "TALKING_FACE_CERTIFICATE"  # environment variables: PEM files, the chain,
KEY_VARIABLE = "TALKING_FACE_CERTIFICATE_KEY"  # the signer first, and its key (P-256)
TOOL = {"name": "talking_face", "version": __version__}
MAKING = "org.talking-face.making"  # our own assertion: settings and sources
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".png": "image/png",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
}  # fmt: skip
UNTRUSTED = "signingCredential.untrusted"
YEARS = 10  # that an installation's own certificate holds

_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "builder": {"thumbnail": {"enabled": False}},
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """How a file was made, as its statement tells it.

    Attributes:
        settings: of its making, such as its seed; whatever JSON holds.
        sources: what it was made of: names, such as "photo", and the SHA-256 of each.
        parts: finished files that it is put together from; their own statements are kept in its.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Path] = ()

    def with_settings(self, **more: Any) -> Origin:
        return Origin({**self.settings, **more}, self.sources, self.parts)

    def told(self) -> dict[str, Any]:
        """What our own assertion says; for files that can't be signed, what to write into them."""
        weights = {file: digest for spec in WEIGHTS.values() for file, digest in spec.files.items()}
        return {
            "settings": dict(self.settings),
            "sha256": dict(self.sources),
            "weights": weights,
            "tool": TOOL,
        }


@dataclass(frozen=True)
class Statement:
    """What a file's content credentials say.

    Attributes:
        found: whether there are any.
        valid: whether file and statement are as they were signed.
        trusted: whether a reader that knows this machine's list of signers trusts the signer.
        signer: the names in the certificate; None without one.
        tool: which program says that it made the file.
        generated: whether it says that a trained algorithm made it.
        making: our own assertion; None in files of other programs.
        parts: titles of the files that it was put together from.
        problem: why it isn't valid, or can't be read; None where nothing is wrong.
        name: what tells this statement from all others; None without one.
    """

    found: bool = False
    valid: bool = False
    trusted: bool = False
    signer: str | None = None
    tool: str | None = None
    generated: bool = False
    making: Mapping[str, Any] | None = None
    parts: tuple[str, ...] = ()
    problem: str | None = None
    name: str | None = None


def sign(path: Path, origin: Origin, title: str) -> None:
    """Put a signed statement into a finished file.

    Args:
        path: of a kind in TYPES; replaced by the signed one. Others are left as they are.
        origin: what is stated.
        title: what the file will be called.

    Raises:
        CredentialsUnusable: certificate or key can't be used.
        OutputUnwritable: the disk is full.
    """
    import c2pa

    if path.suffix.lower() not in TYPES:
        return
    created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": TOOL}
    statement = {
        "claim_generator_info": [TOOL],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [created]}},
            {"label": MAKING, "data": origin.told()},
        ],
    }
    certificate, key = installed_certificate()
    with scratch(path) as signed:
        try:
            info = c2pa.C2paSignerInfo(b"es256", certificate, key, None)
            builder = c2pa.Builder(statement, _context())
            for part in origin.parts:
                _add_part(builder, part)
            with path.open("rb") as source, signed.open("w+b") as output:
                builder.sign(
                    c2pa.Signer.from_info(info), TYPES[path.suffix.lower()], source, output
                )
        except c2pa.C2paError as error:
            raise CredentialsUnusable(
                f"{title} can't be signed ({error}). Check the files that {CERTIFICATE_VARIABLE} "
                f"and {KEY_VARIABLE} name."
            ) from error
        signed.replace(path)


def _add_part(builder: Any, part: Path) -> None:
    """Name a file as a part; its statement, if it has a sound one, comes along."""
    import c2pa

    kind = TYPES.get(part.suffix.lower(), "video/mp4")
    about = {"title": part.name, "relationship": "componentOf"}
    try:
        with part.open("rb") as file:
            builder.add_ingredient(about, kind, file)
    except c2pa.C2paError as error:  # a statement that can't be read, in somebody's upload
        logger.info("%s isn't named as a part: %s", part.name, error)


def read_statement(path: Path) -> Statement:
    """The content credentials of any file; never raises over what is in it."""
    import c2pa

    kind = TYPES.get(path.suffix.lower())
    try:
        with path.open("rb") as file:
            reader = c2pa.Reader.try_create(kind, file, None, _context())
            if reader is None:
                return Statement()
            told = json.loads(reader.json())
            state = reader.get_validation_state()
    except (c2pa.C2paError, OSError, ValueError) as error:
        logger.debug("the content credentials of %s can't be read: %s", path, error)
        name = str(error).partition(":")[0]
        if name in ("NotSupported", "ManifestNotFound", "Io"):
            return Statement()
        return Statement(problem="There are content credentials, but they can't be read.")
    return _statement(told, str(state))


def _statement(told: Mapping[str, Any], state: str) -> Statement:
    active = told.get("manifests", {}).get(told.get("active_manifest"), {})
    made = active.get("assertions", [])
    actions = [
        action
        for one in made
        if str(one.get("label", "")).startswith("c2pa.actions")
        for action in one.get("data", {}).get("actions", [])
    ]
    about = active.get("signature_info", {})
    names = [about[name] for name in ("common_name", "issuer") if about.get(name)]
    tools = [
        f"{one.get('name', '')} {one.get('version', '')}".strip()
        for one in active.get("claim_generator_info", [])
    ]
    wrong = [
        one.get("explanation") or one.get("code", "")
        for one in told.get("validation_status", [])
        if one.get("code") != UNTRUSTED
    ]
    valid = state in ("Valid", "Trusted")
    return Statement(
        found=True,
        valid=valid,
        trusted=state == "Trusted",
        signer=", ".join(names) or None,
        tool=tools[0] if tools else None,
        generated=any("lgorithmicMedia" in a.get("digitalSourceType", "") for a in actions),
        making=next((one.get("data") for one in made if one.get("label") == MAKING), None),
        parts=tuple(str(one.get("title", "")) for one in active.get("ingredients", [])),
        problem=None if valid else "; ".join(wrong) or "It was changed since it was signed.",
        name=told.get("active_manifest"),
    )


@cache
def _context() -> Any:
    import c2pa

    return c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))


# -- certificates ---------------------------------------------------------------------------------


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
