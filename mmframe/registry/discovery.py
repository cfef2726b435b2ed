"""Which plugins there are, from metadata and file names alone: nothing is imported here."""

from __future__ import annotations

import hashlib
import importlib.metadata
from enum import Enum
from typing import TYPE_CHECKING

import attrs

import mmframe
from mmframe.plugin.hooks import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["CORE", "InstalledPlugin", "PluginSource", "find_plugins"]

CORE = "core"
"""The plugin of the built-ins: part of the kernel's own distribution, always there."""

_CORE_MODULE = "mmframe.builtin.plugin"
_DIGEST_LENGTH = 12


class PluginSource(Enum):
    """Where a plugin comes from."""

    BUILT_IN = "built in"
    PACKAGE = "package"
    FILE = "file"


@attrs.frozen
class InstalledPlugin:
    """A plugin that could be loaded.

    Attributes:
        name: Entry-point name, or the stem of a local file.
        distribution: Name of the distribution that ships it, or the path of a local file.
        version: Its version; of a local file the beginning of its SHA-256.
        module: What is imported: a module, `module:object`, or the path of a local file.
        is_blocked: It must not be loaded in this run.
        path: The local file, or None.
    """

    name: str
    distribution: str
    version: str
    module: str
    source: PluginSource
    is_blocked: bool = False
    path: Path | None = None

    @property
    def origin(self) -> str:
        """Return where it comes from in the words of an error message."""
        match self.source:
            case PluginSource.FILE:
                return f"file {self.distribution}"
            case PluginSource.BUILT_IN:
                return f"{self.distribution} {self.version}"
            case PluginSource.PACKAGE:
                return f"{self.distribution} {self.version}, entry point {self.module}"


def find_plugins(*, blocked: frozenset[str] = frozenset(), local: Sequence[Path] = ()) -> tuple[InstalledPlugin, ...]:
    """Return every plugin by name: the built-in one, those of installed distributions, and the local files.

    Two distributions may claim one name; both are returned, and loading that name is the error.
    """
    core = InstalledPlugin(
        name=CORE,
        distribution="mmframe",
        version=mmframe.__version__,
        module=_CORE_MODULE,
        source=PluginSource.BUILT_IN,
    )
    found = [
        _from_entry_point(entry_point, blocked)
        for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    ]
    found += [_from_file(path, blocked) for path in local]
    return (core, *sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def _from_entry_point(entry_point: importlib.metadata.EntryPoint, blocked: frozenset[str]) -> InstalledPlugin:
    distribution = entry_point.dist
    return InstalledPlugin(
        name=entry_point.name,
        distribution=distribution.name if distribution is not None else "unknown distribution",
        version=distribution.version if distribution is not None else "unknown",
        module=entry_point.value,
        source=PluginSource.PACKAGE,
        is_blocked=entry_point.name in blocked,
    )


def _from_file(path: Path, blocked: frozenset[str]) -> InstalledPlugin:
    try:
        version = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGEST_LENGTH]}"
    except OSError:
        # Loading it will say why it cannot be read; listing it must not fail.
        version = "unknown"
    return InstalledPlugin(
        name=path.stem,
        distribution=str(path),
        version=version,
        module=str(path),
        source=PluginSource.FILE,
        is_blocked=path.stem in blocked,
        path=path,
    )
