"""Holds a plugin's module to the contract: its API version, its hooks and the specs that they hand over."""

from __future__ import annotations

import inspect
import keyword
import re
from typing import TYPE_CHECKING, Any

import pluggy

from mmframe.config.option_types import option_fields
from mmframe.config.problems import nearest_hint
from mmframe.config.strategy import StrategyFile
from mmframe.domain.views import Reason
from mmframe.errors import DomainError, MmframeError, PluginError
from mmframe.plugin.hooks import MMFRAME_API, PROJECT_NAME, Hooks
from mmframe.plugin.specs import (
    AdviserSpec,
    BookSpec,
    ComponentSpec,
    FeedSpec,
    HistorySpec,
    LLMProviderSpec,
    OptimizerSpec,
    RiskControlSpec,
    SignalSpec,
    SinkSpec,
    VenueSpec,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.registry.discovery import InstalledPlugin

__all__ = ["REGISTER_HOOKS", "HookCaller", "collect_specs", "is_signal_name", "plugin_error"]

REGISTER_HOOKS: dict[str, type[ComponentSpec]] = {
    "mmframe_register_feeds": FeedSpec,
    "mmframe_register_books": BookSpec,
    "mmframe_register_signals": SignalSpec,
    "mmframe_register_optimizers": OptimizerSpec,
    "mmframe_register_risk_controls": RiskControlSpec,
    "mmframe_register_venues": VenueSpec,
    "mmframe_register_histories": HistorySpec,
    "mmframe_register_llm_providers": LLMProviderSpec,
    "mmframe_register_advisers": AdviserSpec,
    "mmframe_register_sinks": SinkSpec,
}
"""The hooks that hand over specs, and of which class."""

_HOOK_PREFIX = f"{PROJECT_NAME}_"
_HOOK_MARK = f"{PROJECT_NAME}_impl"
_HOOK_ARGUMENTS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function.__func__).parameters)
    for name, function in vars(Hooks).items()
    if name.startswith(_HOOK_PREFIX)
}
_COMPONENT_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def plugin_error(
    plugin: InstalledPlugin, text: str, *, kind: str, cause: BaseException | None = None, hint: str | None = None
) -> PluginError:
    """Return an error that names the plugin and where it comes from."""
    return PluginError(
        text,
        kind=kind,
        plugin=plugin.name,
        distribution=plugin.origin,
        cause=None if cause is None else f"{type(cause).__name__}: {cause}",
        hint=hint,
    )


def is_signal_name(name: str) -> bool:
    """Tell whether `name` can be a field of `view.signals`, which is a NamedTuple."""
    is_taken = name.startswith("_") or keyword.iskeyword(name) or name in {"count", "index"}
    return name.isidentifier() and not is_taken


class HookCaller:
    """The hooks of one plugin. pluggy validates and calls them; one manager a plugin keeps their faults apart.

    Raises:
        PluginError: If the module breaks the contract: api, hook, argument.
    """

    def __init__(self, plugin: InstalledPlugin, module: Any) -> None:
        self._plugin = plugin
        _check_api(plugin, module)
        names = {name: _check_hook(plugin, name, function) for name, function in _hook_functions(module)}
        if not names:
            hint = "mark a function such as `mmframe_register_optimizers` with `@hookimpl` from mmframe.plugin"
            raise plugin_error(plugin, f"plugin {plugin.name!r} implements no hook", kind="hook", hint=hint)
        self.hooks = frozenset(names.values())
        self._manager = pluggy.PluginManager(PROJECT_NAME)
        self._manager.add_hookspecs(Hooks)
        try:
            self._manager.register(module, plugin.name)
        except pluggy.PluginValidationError as error:
            text = f"plugin {plugin.name!r}: pluggy refuses a hook"
            raise plugin_error(plugin, text, kind="hook", cause=error) from error

    def call(self, name: str, **arguments: Any) -> list[Any]:
        """Return what the plugin's hook `name` hands over, as one list; empty when it has no such hook.

        Raises:
            PluginError: If the hook raises or returns something that cannot be iterated over.
        """
        if name not in self.hooks:
            return []
        # pluggy drops a None, which is what a hook returns whose author forgot to return.
        results = self._run(name, arguments) or [None]
        items: list[Any] = []
        for result in results:
            if result is None or isinstance(result, str | bytes | dict):
                raise self._no_iterable(name, result)
            try:
                items.extend(result)
            except TypeError as error:
                if not hasattr(result, "__iter__"):
                    raise self._no_iterable(name, result) from None
                raise self._raised(name, error) from error
            except Exception as error:
                raise self._raised(name, error) from error
        return items

    def run(self, name: str, **arguments: Any) -> None:
        """Call the plugin's hook `name` for its effect.

        Raises:
            PluginError: If the hook raises.
        """
        if name in self.hooks:
            self._run(name, arguments)

    def _run(self, name: str, arguments: dict[str, Any]) -> list[Any]:
        try:
            results: list[Any] = getattr(self._manager.hook, name)(**arguments)
        except MmframeError:
            raise
        except Exception as error:
            raise self._raised(name, error) from error
        return results

    def _raised(self, name: str, error: Exception) -> PluginError:
        hint = f"`mmframe plugins show {self._plugin.name}` prints the traceback"
        return plugin_error(
            self._plugin, f"{name} of plugin {self._plugin.name!r} raised", kind="hook", cause=error, hint=hint
        )

    def _no_iterable(self, name: str, result: Any) -> PluginError:
        expected = REGISTER_HOOKS[name].__name__ if name in REGISTER_HOOKS else "ConfigError"
        text = f"{name} of plugin {self._plugin.name!r}: expected an iterable of {expected}, was {_shown(result)}"
        hint = "return a tuple; is the `return` missing?" if result is None else "return a tuple"
        return plugin_error(self._plugin, text, kind="hook", hint=hint)


def collect_specs(plugin: InstalledPlugin, hooks: HookCaller) -> tuple[ComponentSpec, ...]:
    """Return the plugin's specs, by kind and name, whatever the order in which it hands them over.

    Raises:
        PluginError: If a hook fails or a spec breaks the contract.
    """
    specs: list[ComponentSpec] = []
    for hook, cls in REGISTER_HOOKS.items():
        specs += sorted(_specs_of(plugin, hooks, hook, cls), key=lambda spec: spec.name)
    return tuple(specs)


def _specs_of(plugin: InstalledPlugin, hooks: HookCaller, hook: str, cls: type[ComponentSpec]) -> list[ComponentSpec]:
    place = f"{hook} of plugin {plugin.name!r}"
    specs: dict[str, ComponentSpec] = {}
    for index, spec in enumerate(hooks.call(hook)):
        if not isinstance(spec, cls):
            text = f"{place}: expected {cls.__name__} as item {index}, was {_shown(spec)}"
            raise plugin_error(plugin, text, kind="spec", hint=_spec_hint(spec))
        for problem, hint in _spec_problems(spec):
            text = f"{cls.kind.value} {spec.name!r} of plugin {plugin.name!r}: {problem}"
            raise plugin_error(plugin, text, kind="spec", hint=hint)
        if spec.name in specs:
            text = f"{place}: expected each name once, was {spec.name!r} again"
            raise plugin_error(plugin, text, kind="spec", hint="give each component of a kind a name of its own")
        specs[spec.name] = spec
    return list(specs.values())


def _check_api(plugin: InstalledPlugin, module: Any) -> None:
    was = getattr(module, "MMFRAME_API", None)
    if was is None:
        text = f"plugin {plugin.name!r}: MMFRAME_API is missing, expected {MMFRAME_API}"
        raise plugin_error(plugin, text, kind="api", hint=f"add `MMFRAME_API = {MMFRAME_API}` to the plugin's module")
    if was != MMFRAME_API:
        is_newer = isinstance(was, int) and was > MMFRAME_API
        package = "mmframe" if is_newer else plugin.distribution
        text = f"plugin {plugin.name!r}: MMFRAME_API: expected {MMFRAME_API}, was {was!r}"
        raise plugin_error(plugin, text, kind="api", hint=f"pip install --upgrade {package}")


def _hook_functions(module: Any) -> Iterator[tuple[str, Any]]:
    for name in dir(module):
        function = getattr(module, name, None)
        if not inspect.isroutine(function):
            # Such as the plugin's own package, imported as `mmframe_binance`.
            continue
        if name.startswith(_HOOK_PREFIX) or getattr(function, _HOOK_MARK, None) is not None:
            yield name, function


def _check_hook(plugin: InstalledPlugin, name: str, function: Any) -> str:
    """Return the hook that a function implements."""
    options = getattr(function, _HOOK_MARK, None)
    hook = (options or {}).get("specname") or name
    if hook not in _HOOK_ARGUMENTS:
        hint = nearest_hint(hook, _HOOK_ARGUMENTS) or f"the hooks: {', '.join(_HOOK_ARGUMENTS)}"
        raise plugin_error(plugin, f"plugin {plugin.name!r}: there is no hook {hook!r}", kind="hook", hint=hint)
    if options is None:
        text = f"plugin {plugin.name!r}: {name} is not marked as a hook"
        raise plugin_error(plugin, text, kind="hook", hint="put `@hookimpl` from mmframe.plugin above it")
    if inspect.iscoroutinefunction(function):
        text = f"plugin {plugin.name!r}: {name}: expected a plain function, was a coroutine function"
        raise plugin_error(plugin, text, kind="hook", hint="hooks run at start-up, before any event loop")
    expected = _HOOK_ARGUMENTS[hook]
    for parameter in inspect.signature(function).parameters.values():
        is_named = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if is_named and parameter.default is parameter.empty and parameter.name not in expected:
            takes = f"takes {', '.join(expected)}" if expected else "takes no argument"
            text = f"plugin {plugin.name!r}: {name} has the argument {parameter.name!r}; the hook {takes}"
            hint = f"write `def {name}({', '.join(expected)})`"
            raise plugin_error(plugin, text, kind="argument", hint=hint)
    return hook


def _spec_hint(spec: Any) -> str:
    right = next((hook for hook, cls in REGISTER_HOOKS.items() if isinstance(spec, cls)), None)
    return f"hand it over in `{right}`" if right else "return specs, not components or their classes"


def _spec_problems(spec: Any) -> Iterator[tuple[str, str | None]]:
    if not isinstance(spec.name, str) or not _COMPONENT_NAME.fullmatch(spec.name):
        yield f"name: expected lower-case words joined by dashes, was {spec.name!r}", None
    if not callable(spec.build):
        yield f"build: expected a function (options, context), was {_shown(spec.build)}", None
    yield from _options_problems(spec)
    if isinstance(spec, SignalSpec) and not is_signal_name(spec.provides):
        yield f"provides: expected a public Python identifier, was {spec.provides!r}", None
    if isinstance(spec, VenueSpec) and not spec.modes:
        yield "modes: expected at least one mode, was none", None
    if isinstance(spec, OptimizerSpec | RiskControlSpec):
        for need in spec.needs:
            if not is_signal_name(need):
                yield f"needs: expected names of signals, was {need!r}", "a tuple of one is written `('volatility',)`"
        for code in spec.reasons:
            if code < Reason.PLUGIN:
                yield f"reasons: expected codes from {int(Reason.PLUGIN)} up, was {code}", "count from Reason.PLUGIN"


def _options_problems(spec: Any) -> Iterator[tuple[str, str | None]]:
    if not isinstance(spec.options, type):
        yield (
            f"options: expected a class, was {_shown(spec.options)}",
            "hand over the class itself, not an object of it",
        )
        return
    try:
        names = {field.name for field in option_fields(spec.options)}
    except DomainError as error:
        yield error.message, error.hint
        return
    reserved = {"use", *StrategyFile.kernel_keys(spec.kind)}
    for name in sorted(names & reserved):
        yield f"options: {name!r} belongs to the kernel", "give the option another name"


def _shown(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    is_plain = isinstance(value, str | int | float | list | tuple | dict)
    return f"{type(value).__name__} {str(value)[:60]!r}" if is_plain else type(value).__name__
