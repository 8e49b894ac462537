"""The three marks of every result: one that is seen, one that isn't, and a signed statement.

They fail differently. Cropping takes the visible one away, which says most to people; any other
program that saves the file drops the statement, which says most to programs; the invisible one
survives both, and says least. See docs/provenance.md.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from talking_face.arrays import UInt8
from talking_face.clips.credentials import GENERATED, Origin, sign
from talking_face.clips.mark import Mark, installed_mark
from talking_face.clips.payload import CLIPS, TOOL, VERSION, Payload
from talking_face.clips.watermark import Watermark, installed_key
from talking_face.files import writing

COMMENT = "AI-generated (talking_face)"  # the comment tag of every file
# IPTC's vocabulary for the origin of a picture, in XMP: a photo with parts that a trained model
# made. What image hosts look for when they label pictures.
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
    'compositeWithTrainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
)


def new_payload() -> Payload:
    """What the invisible mark of a new clip says."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return Payload(TOOL, VERSION, secrets.randbelow(CLIPS), today)


@dataclass(frozen=True)
class Marks:
    """The marks of one file.

    Attributes:
        origin: how it is made.
        visible: None takes the one of this installation, which may be none.
        payload: of the invisible one.
    """

    origin: Origin = field(default_factory=Origin)
    visible: Mark | None = None
    payload: Payload = field(default_factory=new_payload)

    def painter(self, height: int, width: int) -> Callable[[UInt8], UInt8]:
        """A function that returns a marked copy of each (height, width, 3) uint8 RGB frame.

        Frames are to come in their order.
        """
        unseen = self.unseen(height, width)
        mark = self.visible or installed_mark()
        if mark is None:
            return unseen
        seen = mark.painter(height, width)
        return lambda frame: seen(unseen(frame))

    def unseen(self, height: int, width: int) -> Callable[[UInt8], UInt8]:
        """As `painter`, with the invisible mark alone."""
        return Watermark(self.payload, height, width, installed_key())

    def sign(self, finished: Path, path: Path) -> None:
        """Put the statement into a finished file, which will be called `path`.

        Raises:
            CredentialsUnusable, OutputUnwritable.
        """
        sign(finished, self.origin.with_settings(clip=self.payload.clip), path.name)


def write_picture(picture: Image.Image, path: str | Path, origin: Origin) -> Path:
    """Write a picture that has its marks already as a PNG that says itself what it is.

    One that isn't generated, by its origin, has no other words than its statement.

    Args:
        path: the .png to write; replaced if it is there.
        origin: what the signed statement tells of its making.

    Raises:
        OutputUnwritable, CredentialsUnusable.
    """
    path = Path(path)
    notes = PngInfo()
    if origin.kind == GENERATED:
        notes.add_text("Comment", COMMENT)
        notes.add_itxt("XML:com.adobe.xmp", XMP)
    with writing(path) as hidden:
        picture.save(hidden, "PNG", pnginfo=notes)
        sign(hidden, origin, path.name)
    return path
