"""What a client calls a file, turned into a path: its uploads, its results, and the examples.

A client sends a record with a path in it, and may write into it whatever it likes: Gradio looks at
the path only where the record carries its `meta`, which a program can leave out. So nothing on the
page opens a path before it has been through `received`.

Uploads lie under a hash of their content that is keyed with a secret of this installation, so
nobody can guess where somebody else's is. Results lie in folders with random names that also tell,
by a keyed digest, whose session they were made for: another one can't use them even if it knows the
path. What can't be used is never told apart from what isn't there.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradio.context import LocalContext
from gradio.utils import get_upload_folder

from talking_face.errors import UploadUnknown
from talking_face.files import shipped

ASSETS = shipped("assets")
RESULTS = "talking-face-"  # how the names of result folders begin

Upload = Any  # Gradio's record of an upload, a mapping or `gr.FileData` with its "path"; or None

_KEY = secrets.token_bytes(32)  # of the digests in the names of result folders


def received(upload: Upload) -> Path:
    """The file that a client means: resolved, regular, and one that this client may use.

    Raises:
        UploadUnknown: it isn't there, lies outside of the uploads and the examples, isn't a regular
            file (a folder, a device), or was made for somebody else.
    """
    named = upload.get("path") if isinstance(upload, Mapping) else getattr(upload, "path", None)
    path = _resolved(named)
    if path is None or not _may_use(path):
        raise UploadUnknown(
            "This file is not one of your uploads, or it was deleted when its time was over. "
            "Upload it again, and send the path that the upload answered."
        )
    return path


def folder_name() -> str:
    """A name for a folder of results of the session whose request is being answered."""
    token = secrets.token_hex(16)
    return f"{RESULTS}{token}-{_owner(token)}"


def _resolved(named: Any) -> Path | None:
    """Where a path leads in the end, past links and dots; None where it leads to no plain file."""
    if not isinstance(named, str) or not named:
        return None
    try:
        path = Path(named).resolve(strict=True)
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a null character; a loop of links
        return None


def _may_use(path: Path) -> bool:
    if path.is_relative_to(ASSETS):
        return True
    uploads = Path(get_upload_folder()).resolve()
    if not path.is_relative_to(uploads):
        return False
    folder = path.relative_to(uploads).parts[0]
    if not folder.startswith(RESULTS):
        return True
    token, _, owner = folder.removeprefix(RESULTS).partition("-")
    return hmac.compare_digest(owner.encode(), _owner(token).encode())


def _owner(token: str) -> str:
    """A digest of whose request is being answered; programs that give no session share one."""
    request = LocalContext.request.get(None)
    session = getattr(request, "session_hash", None) or ""
    return hmac.new(_KEY, f"{token} {session}".encode(), "sha256").hexdigest()[:32]
