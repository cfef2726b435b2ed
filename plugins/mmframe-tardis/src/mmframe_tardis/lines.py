"""The lines of one file, plain or gzip, streamed in blocks; damage is told with the line where it was met."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from mmframe.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

__all__ = ["BLOCK_BYTES", "LineFile"]

BLOCK_BYTES = 1 << 16
"""Decompressed bytes held at once."""

_GZIP_MAGIC = b"\x1f\x8b"


class LineFile:
    """A text file of lines that each end with a newline.

    Attributes:
        name: The path as given, for messages.
        size_bytes: On disk.
        bytes_read: Of `size_bytes`, so far in the current reading.
        damage: What made the current reading end early, empty when nothing did.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.size_bytes = path.stat().st_size
        self.bytes_read = 0
        self.damage = ""
        self._path = path

    def blocks(self, *, stops_at_damage: bool = False) -> Iterator[tuple[int, str]]:
        """Yield `(number of the first line, whole lines)` from the start, without the last newline of each block.

        Args:
            stops_at_damage: End and set `damage` where the file is cut or broken, instead of raising.

        Raises:
            DataError: If the file is cut, broken or not ASCII, with the first line that is lost.
        """
        self.bytes_read = 0
        self.damage = ""
        number, rest = 1, ""
        try:
            for text in self._texts():
                lines, newline, rest = (rest + text).rpartition("\n")
                if newline:
                    yield number, lines
                    number += lines.count("\n") + 1
        except EOFError:
            self.damage = "the gzip stream is cut off"
        except (gzip.BadGzipFile, zlib.error) as error:
            self.damage = f"the gzip stream is broken ({error})"
        except UnicodeDecodeError as error:
            self.damage = f"expected ASCII text, was byte 0x{error.object[error.start]:02x}"
        else:
            if rest:
                # Half a number reads as a whole one: the last line counts only with its line end.
                self.damage = f"the last line has no line end and may be cut off: {rest!r}"
        if self.damage and not stops_at_damage:
            hint = 'fetch the file again, or say on_bad_row = "skip" to use it up to here'
            raise DataError(self.damage, file=self.name, line=number, hint=hint)

    def _texts(self) -> Iterator[str]:
        with self._path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            # The content decides, not the name: files are often unpacked and keep it, or the other way round.
            stream: gzip.GzipFile | BufferedReader = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            # read1 hands over what there is before the place where a stream is cut off.
            while block := stream.read1(BLOCK_BYTES):
                self.bytes_read = raw.tell()
                text = block.decode("ascii")
                # Some tools quote every field and end lines as Windows does; the fields themselves hold neither.
                yield text.replace("\r", "").replace('"', "") if '"' in text or "\r" in text else text
            self.bytes_read = self.size_bytes
