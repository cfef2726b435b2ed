"""One stream of lines as compressed files, each complete in itself, one after the other.

A file is a row of gzip members, one a block: the system has each of them whole, so a killed process leaves a file that
can be read to its end.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from mmframe.runtime.recorder.manifest import FileFacts, OpenFileFacts, sync_directory
from mmframe.runtime.recorder.settings import Fsync

if TYPE_CHECKING:
    from mmframe.runtime.recorder.settings import RecorderSettings

__all__ = ["LineFiles"]

_COMPRESSION = 6


class LineFiles:
    """Lines of one market.

    Args:
        stem: Beginning of the files' names.
        market: Unified symbol for the manifest, or None.
        settings: Folder and bounds.

    Attributes:
        complete: Facts of the files that are complete, in order.
        last_ns: Time of the last line of all files.
    """

    def __init__(self, stem: str, market: str | None, settings: RecorderSettings) -> None:
        self._stem = stem
        self._market = market
        self._settings = settings
        self._file: _OpenFile | None = None
        self.complete: list[FileFacts] = []
        self.last_ns = 0

    @property
    def open_file(self) -> OpenFileFacts | None:
        """Return the file that is being written, or None."""
        file = self._file
        return None if file is None else OpenFileFacts(file.name, self._market)

    @property
    def disk_bytes(self) -> int:
        """Return the size of all files; may be asked by another thread than the one that writes."""
        file = self._file
        return sum(facts.bytes for facts in self.complete) + (0 if file is None else file.disk_bytes)

    def add(self, receive_ns: int, frame: bytes, *, is_note: bool) -> None:
        """Append one line.

        Raises:
            OSError: If a file cannot be written.
        """
        every_ns = self._settings.rotate_every_ns
        if self._file is not None and every_ns and receive_ns // every_ns != self._file.first_ns // every_ns:
            self.rotate()
        if self._file is None:
            name = f"{self._stem}-{len(self.complete) + 1:04d}.raw.gz"
            self._file = _OpenFile(name, self._settings, receive_ns)
        self.last_ns = receive_ns
        self._file.add(receive_ns, frame, is_note=is_note)
        if self._file.block_bytes >= self._settings.block_bytes:
            self.flush()

    def flush(self) -> None:
        """Hand over to the system what is in memory.

        Raises:
            OSError: If a file cannot be written.
        """
        if self._file is None:
            return
        self._file.flush()
        if self._settings.rotate_bytes and self._file.disk_bytes >= self._settings.rotate_bytes:
            self.rotate()

    def abandon(self) -> None:
        """Leave the file as it is on the disk, which takes no more: what it holds is whole."""
        file, self._file = self._file, None
        if file is not None:
            file.abandon()
            self.complete.append(file.facts(self._market))

    def rotate(self) -> None:
        """Complete the file; the next line begins another one.

        Raises:
            OSError: If it cannot be written.
        """
        file = self._file
        if file is not None:
            file.close()
            self._file = None
            self.complete.append(file.facts(self._market))


class _OpenFile:
    """A file that is being written."""

    def __init__(self, name: str, settings: RecorderSettings, first_ns: int) -> None:
        self.name = name
        self.first_ns = first_ns
        self.block_bytes = 0
        self.disk_bytes = 0
        self._block: list[bytes] = []
        self._block_frames = 0
        self._block_last_ns = first_ns
        # Of what is on the disk.
        self._last_ns = first_ns
        self._lines = 0
        self._frames = 0
        self._raw_bytes = 0
        self._hash = hashlib.sha256()
        self._settings = settings
        self._file = (settings.directory / name).open("xb", buffering=0)

    def add(self, receive_ns: int, frame: bytes, *, is_note: bool) -> None:
        line = b"%d %s\n" % (receive_ns, frame)
        self._block.append(line)
        self.block_bytes += len(line)
        self._block_frames += not is_note
        self._block_last_ns = receive_ns

    def flush(self) -> None:
        if not self._block:
            return
        member = gzip.compress(b"".join(self._block), _COMPRESSION, mtime=0)
        self._write(member)
        self._raw_bytes += self.block_bytes
        self._lines += len(self._block)
        self._frames += self._block_frames
        self._last_ns = self._block_last_ns
        self._block.clear()
        self._block_frames = self.block_bytes = 0
        if self._settings.fsync is Fsync.INTERVAL:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self.flush()
        if self._settings.fsync is not Fsync.NEVER:
            os.fsync(self._file.fileno())
            sync_directory(self._settings.directory)
        self._file.close()

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()

    def facts(self, market: str | None) -> FileFacts:
        return FileFacts(
            name=self.name,
            market=market,
            first_receive_ns=self.first_ns,
            last_receive_ns=self._last_ns,
            lines=self._lines,
            frames=self._frames,
            bytes=self.disk_bytes,
            raw_bytes=self._raw_bytes,
            sha256=self._hash.hexdigest(),
        )

    def _write(self, member: bytes) -> None:
        written = 0
        try:
            while written < len(member):
                written += self._file.write(member[written:])
        except OSError:
            # A part of a member would make the whole file look damaged.
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self.disk_bytes)
            raise
        self.disk_bytes += len(member)
        self._hash.update(member)
