"""How a recording is written: where to, in how large files, and how soon it is safe on the disk."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import attrs

from mmframe.errors import DomainError

__all__ = ["Fsync", "RecorderSettings"]


class Fsync(Enum):
    """When the operating system is made to write to the disk itself. What it has survives a killed process anyway."""

    NEVER = "never"
    """When it likes: a power cut may cost the last half minute or so."""
    INTERVAL = "interval"
    """At each flush: a power cut costs about a second."""
    ROTATE = "rotate"
    """When a file is complete: a power cut may damage the files that are being written."""


@attrs.frozen(kw_only=True)
class RecorderSettings:
    """How a recording is written.

    Attributes:
        directory: New folder for files and manifest.
        rotate_bytes: Size on disk at which a file is complete, or None for no bound.
        rotate_every_ns: Span of one file, beginning at its whole multiples since 1970 UTC, or None for no bound.
        fsync: When data are forced to the disk.
        flush_interval_s: Longest time that frames wait in memory: what a killed process loses.
        block_bytes: Uncompressed size at which they are written before that.
        queue_frames_max: Frames that wait for the writer; at the bound further ones are dropped, counted and marked.
        queue_bytes_max: The same in bytes.

    Raises:
        DomainError: If a bound is not positive.
    """

    directory: Path
    rotate_bytes: int | None = None
    rotate_every_ns: int | None = None
    fsync: Fsync = Fsync.ROTATE
    flush_interval_s: float = 1.0
    block_bytes: int = 256 * 1024
    queue_frames_max: int = 200_000
    queue_bytes_max: int = 64 * 1024 * 1024

    def __attrs_post_init__(self) -> None:
        bounds = (
            self.rotate_bytes,
            self.rotate_every_ns,
            self.flush_interval_s,
            self.block_bytes,
            self.queue_frames_max,
            self.queue_bytes_max,
        )
        if not all(bound is None or bound > 0 for bound in bounds):
            msg = f"recorder: expected positive bounds, was {self!r}"
            raise DomainError(msg)
