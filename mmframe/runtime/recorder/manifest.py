"""`manifest.json`: what a recording holds and what it lacks, so that nobody replays a part as the whole."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from mmframe.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "GAPS_MAX",
    "MANIFEST_NAME",
    "CaptureManifest",
    "ClockNotes",
    "FeedFacts",
    "FileFacts",
    "Gap",
    "MarketFacts",
    "OpenFileFacts",
    "read_manifest",
    "sync_directory",
    "write_manifest",
]

MANIFEST_NAME = "manifest.json"
_SCHEMA = 1

GAPS_MAX = 1000
"""Gaps that are listed; further ones are counted in `gap_count` and stand in the files all the same."""


class FeedFacts(msgspec.Struct, frozen=True):
    """What was recorded; of the options every one but secrets."""

    use: str
    plugin: str
    distribution: str
    version: str
    options: dict[str, object]


class MarketFacts(msgspec.Struct, frozen=True):
    """A market of the recording. Sizes of steps are decimal text, as the recording strategy had them."""

    instrument: str
    venue_symbol: str
    tick_size: str
    lot_size: str


class FileFacts(msgspec.Struct, frozen=True):
    """One file. `market` is the unified symbol, or null for what is of no market.

    Times are nanoseconds UTC; `lines` counts frames and notes, `bytes` is the size on disk, `raw_bytes` uncompressed.
    """

    name: str
    market: str | None
    first_receive_ns: int
    last_receive_ns: int
    lines: int
    frames: int
    bytes: int
    raw_bytes: int
    sha256: str


class OpenFileFacts(msgspec.Struct, frozen=True):
    """A file that was still being written when the manifest was."""

    name: str
    market: str | None


class Gap(msgspec.Struct, frozen=True):
    """Where a book is void, until it is whole again; `to_ns` is null if that was not to be.

    `frames` says how many the recorder itself dropped, between the two times; 0 if it was the feed that lost something.
    """

    market: str | None
    from_ns: int
    to_ns: int | None
    reason: str
    frames: int = 0
    bytes: int = 0


class ClockNotes(msgspec.Struct, frozen=True):
    """What is known of the clock that the receive times are of.

    `adjusted_ms` is by how much it ran ahead of the machine's steady clock since the start; `steps_back` how many
    frames bear the time of the one before because it had gone back.
    """

    source: str
    adjusted_ms: float
    steps_back: int


class CaptureManifest(msgspec.Struct, frozen=True):
    """The manifest. `ended` is null until the end: then the recording goes on, or it was killed."""

    schema: int
    mmframe: str
    strategy: str
    strategy_sha256: str
    feed: FeedFacts
    markets: tuple[MarketFacts, ...]
    started: str
    ended: str | None
    ended_because: str | None
    frames: int
    raw_bytes: int
    dropped_frames: int
    dropped_bytes: int
    rewritten_frames: int
    """Frames of several lines that were written as one; see the how-to guide."""
    gap_count: int
    gaps: tuple[Gap, ...]
    clock: ClockNotes
    files: tuple[FileFacts, ...]
    open_files: tuple[OpenFileFacts, ...]
    replay: dict[str, object]
    """Keys of the `[history]` table that replays the files."""


def read_manifest(path: Path) -> CaptureManifest:
    """Return a manifest.

    Raises:
        DataError: If it cannot be read or is of a later version.
    """
    try:
        data = path.read_bytes()
        schema = msgspec.json.decode(data, type=_Versioned).schema
        if schema != _SCHEMA:
            msg = f"expected a manifest of schema {_SCHEMA}, was {schema}"
            raise DataError(msg, file=str(path), hint="upgrade mmframe")
        return msgspec.json.decode(data, type=CaptureManifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        msg = f"expected the manifest of a recording: {reason}"
        raise DataError(msg, file=str(path)) from None


def write_manifest(directory: Path, manifest: CaptureManifest, *, is_durable: bool) -> None:
    """Replace the manifest in one step: a reader sees the old one or the new one, whole.

    Raises:
        OSError: If it cannot be written; the old one is untouched then.
    """
    path = directory / MANIFEST_NAME
    beside = directory / f".{MANIFEST_NAME}.new"
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    with beside.open("wb") as file:
        file.write(text)
        file.flush()
        if is_durable:
            os.fsync(file.fileno())
    beside.replace(path)
    if is_durable:
        sync_directory(directory)


def sync_directory(directory: Path) -> None:
    """Force the names in a folder to the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Versioned(msgspec.Struct):
    schema: int
