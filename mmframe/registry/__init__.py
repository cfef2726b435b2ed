"""From a strategy file to a plan: discovery, loading and composition; imports what the file names, nothing else."""

from mmframe.registry.compose import (
    CheckedComponent,
    CheckReport,
    check,
    compose,
    compose_advisers,
    compose_history,
    compose_venue,
)
from mmframe.registry.discovery import InstalledPlugin
from mmframe.registry.look import compose_look
from mmframe.registry.registry import LoadedPlugin, Registry, ResolvedComponent

__all__ = [
    "CheckReport",
    "CheckedComponent",
    "InstalledPlugin",
    "LoadedPlugin",
    "Registry",
    "ResolvedComponent",
    "check",
    "compose",
    "compose_advisers",
    "compose_history",
    "compose_look",
    "compose_venue",
]
