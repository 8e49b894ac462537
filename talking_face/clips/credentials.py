"""Content credentials: the signed statement in every file of how it was made (C2PA).

Follows the specification of the Coalition for Content Provenance and Authenticity, through its own
library, c2pa-python. The statement says that a trained algorithm made the file, with which program,
weights, seed and settings; photo and sound are named by their SHA-256 alone. The certificate and
its key are the installation's. Readers call files of a pair that it has made itself valid, of an
unknown signer: anybody can make one, so it proves that a file wasn't changed, not who made it.

Nothing here asks a network: neither for statements that lie elsewhere, nor for revoked
certificates, nor for the time.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO

from talking_face.clips.certificates import (
    CERTIFICATE_VARIABLE,
    KEY_VARIABLE,
    installed_certificate,
)
from talking_face.clips.enclosure import LARGEST, enclosed, opened, with_room
from talking_face.errors import CredentialsUnusable, OptionInvalid, OutputUnwritable
from talking_face.files import scratch
from talking_face.version import __version__
from talking_face.weights import WEIGHTS

TOOL = {"name": "talking_face", "version": __version__}
MAKING = "org.talking-face.making"  # our own assertion: settings and sources
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"  # IPTC's vocabulary
GENERATED = "trainedAlgorithmicMedia"
TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".png": "image/png",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    ".wav": "audio/wav", ".glb": "model/gltf-binary",
}  # fmt: skip
_GLB = TYPES[".glb"]
_BEGINNINGS = (  # where they are, what they are, which kind that tells
    (0, b"\x89PNG", ".png"), (0, b"\xff\xd8\xff", ".jpg"), (0, b"GIF8", ".gif"),
    (0, b"glTF", ".glb"), (8, b"WEBP", ".webp"), (8, b"WAVE", ".wav"),
    (4, b"ftypqt", ".mov"), (4, b"ftypi", ".mp4"), (4, b"ftypmp4", ".mp4"), (4, b"ftypM4V", ".mp4"),
)  # fmt: skip
_SEARCHED = 2**24  # bytes from the beginning
_SLACK = 256  # bytes by which a statement may grow when what it is about does
UNTRUSTED = "signingCredential.untrusted"

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
        kind: what it is, in IPTC's words.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Path] = ()
    kind: str = GENERATED

    def __post_init__(self) -> None:
        """Raises OptionInvalid before anything is made that then couldn't be signed."""
        try:
            json.dumps({**self.settings}, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise OptionInvalid(
                "What a file's statement tells of its making must be a mapping of what JSON holds: "
                "texts, numbers that are finite, lists."
            ) from error

    def with_settings(self, **more: Any) -> Origin:
        return replace(self, settings={**self.settings, **more})

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
    kind = SOURCES + origin.kind
    created = {"action": "c2pa.created", "digitalSourceType": kind, "softwareAgent": TOOL}
    statement = {
        "claim_generator_info": [TOOL],
        "title": _plain(title),
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [created]}},
            {"label": MAKING, "data": origin.told()},
        ],
    }
    certificate, key = installed_certificate()

    def put(source: BinaryIO, output: BinaryIO, form: str, embedded: bool = True) -> bytes:
        info = c2pa.C2paSignerInfo(b"es256", certificate, key, None)
        builder = c2pa.Builder(statement, _context())
        for part in origin.parts:
            _add_part(builder, part)
        if not embedded:
            builder.set_no_embed()
        return bytes(builder.sign(c2pa.Signer.from_info(info), form, source, output))

    form = TYPES[path.suffix.lower()]
    with scratch(path) as signed:
        try:
            with path.open("rb") as source, signed.open("w+b") as output:
                if form == _GLB:
                    output.write(_with_statement(source.read(), partial(put, embedded=False)))
                else:
                    put(source, output, form)
        except c2pa.C2paError.Io as error:  # the library doesn't tell what the system said
            raise OutputUnwritable(
                f"{title} could not be written; perhaps the disk is full. Make room or choose "
                "another folder."
            ) from error
        except c2pa.C2paError as error:
            raise CredentialsUnusable(
                f"{title} can't be signed ({error}). Check the files that {CERTIFICATE_VARIABLE} "
                f"and {KEY_VARIABLE} name."
            ) from error
        except OSError as error:
            raise OutputUnwritable(
                f"{title} can't be written ({error.strerror}). Make room on the disk or choose "
                "another folder."
            ) from error
        signed.replace(path)


def _with_statement(glb: bytes, put: Callable[[BinaryIO, BinaryIO, str], bytes]) -> bytes:
    """A glb with its statement: made once to see how long that is, and again with room for it."""
    length = len(put(io.BytesIO(glb), io.BytesIO(), _GLB))
    room = with_room(glb, length + _SLACK)
    return enclosed(room, put(io.BytesIO(room), io.BytesIO(), _GLB))


def _plain(name: str) -> str:
    """A file's name as JSON can hold it: bytes that are no text are question marks."""
    return name.encode(errors="replace").decode()


def _add_part(builder: Any, part: Path) -> None:
    """Name a file as a part; its statement, if it has a sound one, comes along."""
    import c2pa

    kind = TYPES.get(part.suffix.lower(), "video/mp4")
    about = {"title": _plain(part.name), "relationship": "componentOf"}
    try:
        with part.open("rb") as file:
            builder.add_ingredient(about, kind, file)
    except c2pa.C2paError as error:  # a statement that can't be read, in somebody's upload
        logger.info("%s isn't named as a part: %s", part.name, error)


def read_statement(path: Path) -> Statement:
    """The content credentials of any file; never raises over what is in it."""
    import c2pa

    try:
        with path.open("rb") as file:
            kind = _kind(file.read(16)) or TYPES.get(path.suffix.lower())
            file.seek(0)
            source, apart = (file, None) if kind != _GLB else _opened(file)
            if kind == _GLB and apart is None:
                return Statement()
            reader = c2pa.Reader.try_create(kind, source, apart, _context())
            if reader is None:
                return Statement()
            told = json.loads(reader.json())
            state = reader.get_validation_state()
    except (c2pa.C2paError, OSError, ValueError) as error:
        logger.debug("the content credentials of %s can't be read: %s", path, error)
        if str(error).startswith(("NotSupported", "ManifestNotFound", "Io")) or not _there(path):
            return Statement()
        return Statement(problem="There are content credentials, but they can't be read.")
    return _statement(told, str(state))


def _there(path: Path) -> bool:
    """Whether what can't be read looks like content credentials at all."""
    try:
        with path.open("rb") as file:
            return b"jumdc2pa" in file.read(_SEARCHED)
    except OSError:
        return False


def _kind(beginning: bytes) -> str | None:
    """What a file's first bytes say that it is; None where they say nothing."""
    found = (suffix for at, what, suffix in _BEGINNINGS if beginning.startswith(what, at))
    suffix = next(found, None)
    return None if suffix is None else TYPES[suffix]


def _opened(file: BinaryIO) -> tuple[BinaryIO, bytes | None]:
    """A glb as it was signed, and its statement; None where it has none, or isn't a whole glb."""
    try:
        signed, statement = opened(file.read(LARGEST))
    except ValueError:
        return file, None
    return io.BytesIO(signed), statement or None


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
