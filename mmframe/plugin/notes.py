"""Lines of a recording that are no frames: where something was lost, and on which connection the next frames came.

A live feed hands them to `BuildContext.on_frame` among the frames, in their place in the order; the reader of its
recordings takes them for what they say. So a recording shows the same gaps as the run that it was made in. Files that
another recorder wrote have none.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["CaptureNote", "capture_note", "is_note", "read_note"]

NoteKind = Literal["loss", "restart", "connected", "from", "ended"]

_START = b'{"mmframe":'


class CaptureNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a note says.

    Attributes:
        mmframe: `loss`: messages are missing here, the book is void. `restart`: the same, and connections are counted
            from 1 again. `connected`: a further connection opened, and what
            follows came on it. `from`: what follows came on this one of several connections. `ended`: nothing more
            comes from this one.
        connection: Number of the connection, counted from 1, which needs no `connected`; 0 is whatever there is.
        reason: In words, for people.
    """

    mmframe: NoteKind
    connection: int = 0
    reason: str = ""


_decoder = msgspec.json.Decoder(CaptureNote)


def capture_note(kind: NoteKind, *, connection: int = 0, reason: str = "") -> bytes:
    """Return a note as it stands in a recording."""
    return msgspec.json.encode(CaptureNote(kind, connection, reason))


def is_note(frame: bytes) -> bool:
    """Tell whether a line's frame is a note: no exchange has frames that begin so."""
    return frame.startswith(_START)


def read_note(frame: bytes) -> CaptureNote | None:
    """Return what a note says; None for a frame.

    A note that is not understood is one of loss: who wrote it knew of something that the reader does not.
    """
    if not is_note(frame):
        return None
    try:
        return _decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return CaptureNote("loss", reason="a note that is not understood")
