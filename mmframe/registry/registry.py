"""Finds, loads and checks plugins, each on demand: a plugin that nobody names is never imported."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.config.problems import nearest, nearest_hint
from mmframe.errors import ConfigError, PluginError
from mmframe.plugin.hooks import ENTRY_POINT_GROUP
from mmframe.plugin.specs import ComponentKind, ComponentSpec
from mmframe.registry.commands import PluginCommand, Registrar
from mmframe.registry.contract import HookCaller, collect_specs, plugin_error
from mmframe.registry.discovery import CORE, InstalledPlugin, PluginSource, find_plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmframe.plugin.plan import PlanSummary

__all__ = ["LoadedPlugin", "Registry", "ResolvedComponent", "kind_title"]

_TITLES = {
    ComponentKind.FEED: "feed",
    ComponentKind.BOOK: "book",
    ComponentKind.SIGNAL: "signal",
    ComponentKind.OPTIMIZER: "optimizer",
    ComponentKind.RISK_CONTROL: "risk control",
    ComponentKind.VENUE: "venue",
    ComponentKind.HISTORY: "history",
    ComponentKind.LLM_PROVIDER: "LLM provider",
    ComponentKind.ADVISER: "adviser",
    ComponentKind.SINK: "sink",
}


def kind_title(kind: ComponentKind) -> str:
    """Return the kind in words, with its article: `an optimizer`."""
    title = _TITLES[kind]
    return f"{'an' if title[0] in 'aoL' else 'a'} {title}"


@attrs.frozen
class LoadedPlugin:
    """A plugin that was imported and keeps the contract.

    Attributes:
        installed: What it was loaded from.
        specs: Its components, by kind and name.
        hooks: Calls its hooks.
    """

    installed: InstalledPlugin
    specs: tuple[ComponentSpec, ...]
    hooks: HookCaller = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """Return the plugin's name."""
        return self.installed.name

    @property
    def distribution(self) -> str:
        """Return the name of the distribution, or the path of a local file."""
        return self.installed.distribution

    @property
    def version(self) -> str:
        """Return the version of the distribution, or the digest of a local file."""
        return self.installed.version

    def find(self, kind: ComponentKind, name: str) -> ComponentSpec | None:
        """Return the component of that kind and name, or None."""
        return next((spec for spec in self.specs if spec.kind is kind and spec.name == name), None)

    def use(self, spec: ComponentSpec) -> str:
        """Return what a strategy file writes to use a component of this plugin."""
        return spec.name if self.name == CORE else f"{self.name}/{spec.name}"

    def check_plan(self, plan: PlanSummary) -> tuple[ConfigError, ...]:
        """Return what the plugin says is wrong with a strategy.

        Raises:
            PluginError: If its hook fails or returns something else than problems.
        """
        problems = self.hooks.call("mmframe_check_plan", plan=plan)
        for problem in problems:
            if not isinstance(problem, ConfigError):
                text = f"mmframe_check_plan of plugin {self.name!r}: expected ConfigError, was {type(problem).__name__}"
                raise plugin_error(self.installed, text, kind="hook")
        return tuple(problems)


@attrs.frozen
class ResolvedComponent:
    """A component that a strategy file uses, found."""

    plugin: str
    distribution: str
    version: str
    spec: ComponentSpec
    owner: LoadedPlugin = attrs.field(repr=False)

    @property
    def use(self) -> str:
        """Return `plugin/component`; built-ins are `core/<name>`."""
        return f"{self.plugin}/{self.spec.name}"


class Registry:
    """The plugins of one run.

    Args:
        blocked: Names that must not be imported; `core` cannot be blocked.
        local: Python files that are plugins; the name is the file's stem.
    """

    def __init__(self, *, blocked: frozenset[str] = frozenset(), local: Sequence[Path] = ()) -> None:
        self._installed = find_plugins(blocked=blocked - {CORE}, local=local)
        self._loaded: dict[str, LoadedPlugin] = {}

    @property
    def loaded(self) -> tuple[LoadedPlugin, ...]:
        """Return what has been loaded so far, by name."""
        return tuple(self._loaded[name] for name in sorted(self._loaded))

    def installed(self) -> tuple[InstalledPlugin, ...]:
        """Return every plugin that could be loaded, the built-in one first; nothing is imported."""
        return self._installed

    def load(self, name: str, needed_by: str | None = None) -> LoadedPlugin:
        """Return a plugin, imported and checked on first use.

        Args:
            name: Entry-point name, stem of a local file, or `core`.
            needed_by: The place in the strategy file that asks for it.

        Raises:
            PluginError: If it is missing, blocked, there twice, cannot be imported or breaks the contract. The
                exception behind a failing import is its `__cause__`.
        """
        if name not in self._loaded:
            try:
                self._loaded[name] = _load(self._find(name))
            except PluginError as error:
                error.needed_by = needed_by
                raise
        return self._loaded[name]

    def component(self, kind: ComponentKind, use: str, needed_by: str | None = None) -> ResolvedComponent:
        """Return the component that `use` names.

        Args:
            kind: Which port it is to fill.
            use: A built-in's name or `plugin/component`.
            needed_by: The place in the strategy file that asks for it.

        Raises:
            PluginError: If its plugin cannot be loaded or has no such component.
        """
        name, _, component = use.rpartition("/")
        plugin = self.load(name or CORE, needed_by)
        spec = plugin.find(kind, component)
        if spec is None:
            error = self._unknown_component(plugin, kind, component, use)
            error.needed_by = needed_by
            raise error
        return ResolvedComponent(
            plugin=plugin.name, distribution=plugin.distribution, version=plugin.version, spec=spec, owner=plugin
        )

    def load_all(self) -> tuple[tuple[LoadedPlugin, ...], tuple[PluginError, ...]]:
        """Load everything that is not blocked, for listings; one broken plugin does not hide the others."""
        loaded, errors = [], []
        for name in dict.fromkeys(plugin.name for plugin in self._installed if not plugin.is_blocked):
            try:
                loaded.append(self.load(name))
            except PluginError as error:
                errors.append(error)
        return tuple(loaded), tuple(errors)

    def commands(self, reserved: Iterable[str] = ()) -> tuple[tuple[PluginCommand, ...], tuple[PluginError, ...]]:
        """Return the commands that plugins add to `mmframe`, by name, and the plugins that failed to.

        Args:
            reserved: Names of the built-in commands.
        """
        loaded, errors = self.load_all()
        taken: dict[str, str] = dict.fromkeys(reserved, "mmframe")
        commands: list[PluginCommand] = []
        failed = list(errors)
        for plugin in sorted(loaded, key=lambda one: one.name):
            registrar = Registrar(plugin.installed, taken)
            try:
                plugin.hooks.run("mmframe_register_commands", registrar=registrar)
            except PluginError as error:
                failed.append(error)
                continue
            commands += registrar.commands
            taken.update((command.name, plugin.name) for command in registrar.commands)
        return tuple(sorted(commands, key=lambda command: command.name)), tuple(failed)

    def providers(self, signal: str) -> tuple[str, ...]:
        """Return the `use` texts of the signals that provide the field `signal`, among built-ins and loaded plugins."""
        self.load(CORE)
        return tuple(
            plugin.use(spec)
            for plugin in self.loaded
            for spec in plugin.specs
            if getattr(spec, "provides", None) == signal
        )

    def _find(self, name: str) -> InstalledPlugin:
        candidates = [plugin for plugin in self._installed if plugin.name == name]
        if name == CORE:
            return candidates[0]
        if not candidates:
            close = nearest_hint(name, {plugin.name for plugin in self._installed})
            install = f"pip install mmframe-{name}"
            hint = f"{close} otherwise: {install}" if close else install
            raise PluginError(f"plugin {name!r} is not installed", kind="missing", plugin=name, hint=hint)
        if candidates[0].is_blocked:
            text = f"plugin {name!r} is blocked in this run"
            hint = f"remove `-p no:{name}`, or {name!r} from `disable` in [plugins]"
            raise plugin_error(candidates[0], text, kind="blocked", hint=hint)
        if len(candidates) > 1:
            places = " and ".join(candidate.origin for candidate in candidates)
            packages = " or ".join(
                f"`pip uninstall {candidate.distribution}`"
                for candidate in candidates
                if candidate.source is PluginSource.PACKAGE
            )
            text = f"plugin {name!r} is there {len(candidates)} times: {places}"
            raise plugin_error(candidates[0], text, kind="duplicate", hint=packages or "give the files other names")
        return candidates[0]

    def _unknown_component(self, plugin: LoadedPlugin, kind: ComponentKind, name: str, use: str) -> PluginError:
        others = [spec for spec in plugin.specs if spec.name == name]
        known = {spec.name: spec for spec in plugin.specs if spec.kind is kind}
        where = "built in" if plugin.name == CORE else f"in plugin {plugin.name!r}"
        hint: str | None
        if others:
            text = f"{use!r} is {kind_title(others[0].kind)}, not {kind_title(kind)}"
            hint = f"use it in `{others[0].kind.value}`"
        elif plugin.name == CORE and any(one.name == name for one in self._installed):
            text = f"{use!r} is a plugin, expected one of its components"
            hint = f'write `use = "{name}/..."`; `mmframe plugins show {name}` lists them'
        else:
            text = f"there is no {_TITLES[kind]} {name!r} {where}"
            close = nearest(name, known)
            near = None if close is None else plugin.use(known[close])
            listed = ", ".join(plugin.use(spec) for spec in known.values())
            hint = (
                f"did you mean {near!r}?"
                if near
                else (f"there is: {listed}" if listed else f"it has no {_TITLES[kind]} at all")
            )
        return plugin_error(plugin.installed, text, kind="component", hint=hint)


def _load(plugin: InstalledPlugin) -> LoadedPlugin:
    module = _import(plugin)
    hooks = HookCaller(plugin, module)
    return LoadedPlugin(installed=plugin, specs=collect_specs(plugin, hooks), hooks=hooks)


def _import(plugin: InstalledPlugin) -> Any:
    try:
        if plugin.path is not None:
            return _import_file(plugin.path)
        return EntryPoint(name=plugin.name, value=plugin.module, group=ENTRY_POINT_GROUP).load()
    except (Exception, SystemExit) as error:
        # SystemExit: a script that ends the process when imported must not end the host.
        asked = plugin.module if plugin.source is PluginSource.FILE else plugin.name
        show = f"`mmframe plugins show {asked}` prints the traceback"
        match plugin.source:
            case PluginSource.PACKAGE:
                hint = f"pip install --upgrade {plugin.distribution}; {show}"
            case PluginSource.FILE:
                hint = f"{_line_of(error, plugin)}; {show}" if _line_of(error, plugin) else show
            case PluginSource.BUILT_IN:
                hint = "the installation is damaged: pip install --force-reinstall mmframe"
        raise plugin_error(
            plugin, f"cannot load plugin {plugin.name!r}", kind="import", cause=error, hint=hint
        ) from error


def _line_of(error: BaseException, plugin: InstalledPlugin) -> str | None:
    """Return `see file:line` for the place in a local file at which its import failed."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if plugin.path is not None and Path(trace.tb_frame.f_code.co_filename) == plugin.path.absolute():
            line = trace.tb_lineno
        trace = trace.tb_next
    return None if line is None else f"see {plugin.module}:{line}"


def _import_file(path: Path) -> Any:
    """Execute a file as a module under a name that no other module can have."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"_mmframe_local_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"no Python file: {path}"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    # Annotations of options classes are resolved through sys.modules.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
