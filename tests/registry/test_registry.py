# ruff: noqa: E501, ISC004 - exact messages stand on one line, or in pieces where they are too long for that
from __future__ import annotations

import sys
import textwrap

import pytest

from mmframe.errors import ConfigError, ExitCode, PluginError
from mmframe.plugin import ComponentKind
from mmframe.registry import Registry

ORIGIN = "mmframe-broken 1.2.3, entry point mmframe_broken_plugin"

OPTIMIZER = """
class Quoter:
    def propose(self, view, inventory, advice, proposal):
        return proposal

def spec(name="quoter", **more):
    return OptimizerSpec(name=name, summary="Quotes.", build=lambda options, context: Quoter(), **more)

@hookimpl
def mmframe_register_optimizers():
    return [spec()]
"""


def names(registry: Registry) -> list[str]:
    return [plugin.name for plugin in registry.installed()]


def test_a_plugin_that_nobody_names_is_listed_but_never_imported(site):
    module = site.install("bystander", "raise SystemExit('imported')")
    site.install("used", OPTIMIZER)
    registry = Registry()

    found = registry.component(ComponentKind.OPTIMIZER, "used/quoter")

    assert names(registry)[0] == "core"
    assert {"bystander", "used"} <= set(names(registry))
    assert (found.plugin, found.distribution, found.version, found.use) == (
        "used",
        "mmframe-used",
        "1.2.3",
        "used/quoter",
    )
    assert module not in sys.modules
    assert [plugin.name for plugin in registry.loaded] == ["used"]


def test_a_built_in_needs_no_plugin_name():
    registry = Registry()

    short, full = (registry.component(ComponentKind.BOOK, use) for use in ("sorted", "core/sorted"))

    assert short == full
    assert short.use == "core/sorted"


def test_a_missing_plugin_says_how_to_install_it(site):
    site.install("quantex", OPTIMIZER)

    with pytest.raises(PluginError) as caught:
        Registry().component(ComponentKind.FEED, "quantxe/spot", 'feed.use = "quantxe/spot" (s.toml:9)')

    error = caught.value
    assert (error.code, error.exit_code) == ("plugin-missing", ExitCode.PLUGIN)
    assert error.message == "plugin 'quantxe' is not installed"
    assert error.hint == "did you mean 'quantex'? otherwise: pip install mmframe-quantxe"
    assert error.needed_by == 'feed.use = "quantxe/spot" (s.toml:9)'
    with pytest.raises(PluginError) as caught:
        Registry().load("zebra")
    assert caught.value.hint == "pip install mmframe-zebra"


def test_two_distributions_with_one_name_are_an_error_that_names_both(site):
    site.install("twin", OPTIMIZER, distribution="first")
    site.install("twin", OPTIMIZER, distribution="second", version="2")
    registry = Registry()

    with pytest.raises(PluginError) as caught:
        registry.load("twin")

    assert names(registry).count("twin") == 2
    assert caught.value.code == "plugin-duplicate"
    assert caught.value.message == (
        "plugin 'twin' is there 2 times: first 1.2.3, entry point first_plugin and second 2, entry point second_plugin"
    )
    assert caught.value.hint == "`pip uninstall first` or `pip uninstall second`"
    assert "first_plugin" not in sys.modules


def test_a_blocked_plugin_is_not_imported_and_core_cannot_be_blocked(site):
    module = site.install("quiet", OPTIMIZER)
    registry = Registry(blocked=frozenset({"quiet", "core"}))

    with pytest.raises(PluginError) as caught:
        registry.load("quiet")

    assert caught.value.code == "plugin-blocked"
    assert caught.value.hint == "remove `-p no:quiet`, or 'quiet' from `disable` in [plugins]"
    assert module not in sys.modules
    assert registry.load("core").name == "core"
    assert "quiet" not in {plugin.name for plugin in registry.load_all()[0]}


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def f(:", "SyntaxError: invalid syntax (mmframe_broken_plugin.py, line 13)"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
    ids=["missing dependency", "syntax", "exit", "raise"],
)
def test_a_failing_import_names_its_cause(load_error, code, cause):
    error = load_error("\n" + code)

    assert isinstance(error, PluginError)
    assert (error.code, error.message) == ("plugin-import", "cannot load plugin 'broken'")
    assert (error.distribution, error.cause) == (ORIGIN, cause)
    assert error.needed_by == 'feed.use = "broken/x" (strategy.toml:9)'
    assert error.hint == "pip install --upgrade mmframe-broken; `mmframe plugins show broken` prints the traceback"
    assert error.__cause__.__traceback__ is not None


CONTRACT_CASES = {
    "no api": (
        ("from mmframe.plugin import hookimpl\n", OPTIMIZER.split("class Quoter", maxsplit=1)[0]),
        "api",
        "plugin 'broken': MMFRAME_API is missing, expected 1",
        "add `MMFRAME_API = 1` to the plugin's module",
    ),
    "newer api": (
        "MMFRAME_API = 2",
        "api",
        "plugin 'broken': MMFRAME_API: expected 1, was 2",
        "pip install --upgrade mmframe",
    ),
    "older api": (
        "MMFRAME_API = 0",
        "api",
        "plugin 'broken': MMFRAME_API: expected 1, was 0",
        "pip install --upgrade mmframe-broken",
    ),
    "no hook": (
        "import os.path as mmframe_path",
        "hook",
        "plugin 'broken' implements no hook",
        "mark a function such as `mmframe_register_optimizers` with `@hookimpl` from mmframe.plugin",
    ),
    "misspelt hook": (
        "@hookimpl\ndef mmframe_register_optimisers(): return []",
        "hook",
        "plugin 'broken': there is no hook 'mmframe_register_optimisers'",
        "did you mean 'mmframe_register_optimizers'?",
    ),
    "misspelt hook under another name": (
        "@hookimpl(specname='mmframe_register_feed')\ndef feeds(): return []",
        "hook",
        "plugin 'broken': there is no hook 'mmframe_register_feed'",
        "did you mean 'mmframe_register_feeds'?",
    ),
    "unmarked hook": (
        "def mmframe_register_feeds(): return []",
        "hook",
        "plugin 'broken': mmframe_register_feeds is not marked as a hook",
        "put `@hookimpl` from mmframe.plugin above it",
    ),
    "coroutine": (
        "@hookimpl\nasync def mmframe_register_feeds(): return []",
        "hook",
        "plugin 'broken': mmframe_register_feeds: expected a plain function, was a coroutine function",
        "hooks run at start-up, before any event loop",
    ),
    "argument of none": (
        "@hookimpl\ndef mmframe_register_feeds(config): return []",
        "argument",
        "plugin 'broken': mmframe_register_feeds has the argument 'config'; the hook takes no argument",
        "write `def mmframe_register_feeds()`",
    ),
    "wrong argument": (
        "@hookimpl\ndef mmframe_check_plan(plans): return []",
        "argument",
        "plugin 'broken': mmframe_check_plan has the argument 'plans'; the hook takes plan",
        "write `def mmframe_check_plan(plan)`",
    ),
    "refused by pluggy": (
        "@hookimpl(wrapper=True)\ndef mmframe_register_feeds(): return []",
        "hook",
        "plugin 'broken': pluggy refuses a hook",
        None,
    ),
    "raises": (
        "@hookimpl\ndef mmframe_register_feeds(): return [1 / 0]",
        "hook",
        "mmframe_register_feeds of plugin 'broken' raised",
        "`mmframe plugins show broken` prints the traceback",
    ),
    "raises while iterated": (
        "@hookimpl\ndef mmframe_register_feeds():\n    yield from 3",
        "hook",
        "mmframe_register_feeds of plugin 'broken' raised",
        "`mmframe plugins show broken` prints the traceback",
    ),
    "raises late": (
        "@hookimpl\ndef mmframe_register_feeds():\n    yield 1 / 0",
        "hook",
        "mmframe_register_feeds of plugin 'broken' raised",
        "`mmframe plugins show broken` prints the traceback",
    ),
    "returns nothing": (
        "@hookimpl\ndef mmframe_register_feeds(): pass",
        "hook",
        "mmframe_register_feeds of plugin 'broken': expected an iterable of FeedSpec, was None",
        "return a tuple; is the `return` missing?",
    ),
    "returns a number": (
        "@hookimpl\ndef mmframe_register_feeds(): return 3",
        "hook",
        "mmframe_register_feeds of plugin 'broken': expected an iterable of FeedSpec, was int '3'",
        "return a tuple",
    ),
    "returns text": (
        "@hookimpl\ndef mmframe_register_feeds(): return 'spot'",
        "hook",
        "mmframe_register_feeds of plugin 'broken': expected an iterable of FeedSpec, was str 'spot'",
        "return a tuple",
    ),
    "spec of another kind": (
        OPTIMIZER + "@hookimpl\ndef mmframe_register_feeds(): return [spec()]",
        "spec",
        "mmframe_register_feeds of plugin 'broken': expected FeedSpec as item 0, was OptimizerSpec",
        "hand it over in `mmframe_register_optimizers`",
    ),
    "component instead of its spec": (
        OPTIMIZER + "@hookimpl\ndef mmframe_register_feeds(): return [Quoter]",
        "spec",
        "mmframe_register_feeds of plugin 'broken': expected FeedSpec as item 0, was the class Quoter",
        "return specs, not components or their classes",
    ),
    "name twice": (
        OPTIMIZER.replace("[spec()]", "[spec(), spec()]"),
        "spec",
        "mmframe_register_optimizers of plugin 'broken': expected each name once, was 'quoter' again",
        "give each component of a kind a name of its own",
    ),
    "bad name": (
        OPTIMIZER.replace("[spec()]", "[spec(name='My Quoter')]"),
        "spec",
        "optimizer 'My Quoter' of plugin 'broken': name: expected lower-case words joined by dashes, was 'My Quoter'",
        None,
    ),
    "options no class": (
        OPTIMIZER.replace("[spec()]", "[spec(options={})]"),
        "spec",
        "optimizer 'quoter' of plugin 'broken': options: expected a class, was dict '{}'",
        "hand over the class itself, not an object of it",
    ),
    "options of a plain class": (
        OPTIMIZER.replace("[spec()]", "[spec(options=Quoter)]"),
        "spec",
        "optimizer 'quoter' of plugin 'broken': options Quoter: expected a class made with attrs.frozen, was a plain class",
        None,
    ),
    "reserved option": (
        "@attrs.frozen\nclass Bad:\n    stale_after_ms: int = option(help='X.', default=1)\n"
        "@hookimpl\ndef mmframe_register_feeds():\n"
        "    return [FeedSpec(name='a', summary='A.', options=Bad, build=print)]",
        "spec",
        "feed 'a' of plugin 'broken': options: 'stale_after_ms' belongs to the kernel",
        "give the option another name",
    ),
    "build no function": (
        "@hookimpl\ndef mmframe_register_feeds():\n    return [FeedSpec(name='a', summary='A.', build=3)]",
        "spec",
        "feed 'a' of plugin 'broken': build: expected a function (options, context), was int '3'",
        None,
    ),
    "signal name": (
        "@hookimpl\ndef mmframe_register_signals():\n"
        "    return [SignalSpec(name='a', summary='A.', build=print, provides='my-signal')]",
        "spec",
        "signal 'a' of plugin 'broken': provides: expected a public Python identifier, was 'my-signal'",
        None,
    ),
    "needs is text": (
        OPTIMIZER.replace("[spec()]", "[spec(needs='v o')]"),
        "spec",
        "optimizer 'quoter' of plugin 'broken': needs: expected names of signals, was ' '",
        "a tuple of one is written `('volatility',)`",
    ),
    "reason of the kernel": (
        OPTIMIZER.replace("[spec()]", "[spec(reasons={3: 'x'})]"),
        "spec",
        "optimizer 'quoter' of plugin 'broken': reasons: expected codes from 1000 up, was 3",
        "count from Reason.PLUGIN",
    ),
    "venue without modes": (
        "@hookimpl\ndef mmframe_register_venues():\n"
        "    return [VenueSpec(name='a', summary='A.', build=print, modes=frozenset())]",
        "spec",
        "venue 'a' of plugin 'broken': modes: expected at least one mode, was none",
        None,
    ),
}


@pytest.mark.parametrize(("code", "kind", "message", "hint"), CONTRACT_CASES.values(), ids=CONTRACT_CASES)
def test_a_plugin_that_breaks_the_contract_is_told_how(load_error, code, kind, message, hint):
    keywords = {}
    if isinstance(code, tuple):
        keywords, code = {"header": code[0]}, code[1]

    error = load_error(code, **keywords)

    assert isinstance(error, PluginError)
    assert (error.kind, error.message, error.hint) == (kind, message, hint)
    assert (error.plugin, error.distribution) == ("broken", ORIGIN)
    assert error.needed_by == 'feed.use = "broken/x" (strategy.toml:9)'


def test_what_a_failing_hook_raised_is_its_cause(load_error):
    error = load_error("@hookimpl\ndef mmframe_register_feeds(): return [1 / 0]")

    assert error.cause == "ZeroDivisionError: division by zero"
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_the_order_of_hooks_and_specs_does_not_matter(site):
    forth = 'return [spec("beta"), spec("alpha")]'
    back = 'return (spec(name) for name in ("alpha", "beta"))'
    feeds = '@hookimpl\ndef mmframe_register_books():\n    return [BookSpec(name="b", summary="B.", build=print)]\n'
    site.install("forth", OPTIMIZER.replace("return [spec()]", forth) + feeds)
    site.install("back", feeds + OPTIMIZER.replace("return [spec()]", back))
    results = []

    for order in (("forth", "back"), ("back", "forth")):
        registry = Registry()
        for name in order:
            registry.load(name)
        results.append([(plugin.name, spec.kind, spec.name) for plugin in registry.loaded for spec in plugin.specs])

    assert results[0] == results[1]
    assert [name for plugin, _, name in results[0] if plugin == "back"] == ["b", "alpha", "beta"]
    assert [name for plugin, _, name in results[0] if plugin == "forth"] == ["b", "alpha", "beta"]


def component_error(kind: ComponentKind, use: str) -> tuple[str, str | None]:
    with pytest.raises(PluginError) as caught:
        Registry().component(kind, use, "here")
    assert (caught.value.code, caught.value.needed_by) == ("plugin-component", "here")
    return caught.value.message, caught.value.hint


def test_an_unknown_component_is_told_from_one_of_another_kind(site):
    site.install("mine", OPTIMIZER)

    assert component_error(ComponentKind.OPTIMIZER, "mine/quotr") == (
        "there is no optimizer 'quotr' in plugin 'mine'",
        "did you mean 'mine/quoter'?",
    )
    assert component_error(ComponentKind.OPTIMIZER, "mine/zzz") == (
        "there is no optimizer 'zzz' in plugin 'mine'",
        "there is: mine/quoter",
    )
    assert component_error(ComponentKind.FEED, "mine/zzz") == (
        "there is no feed 'zzz' in plugin 'mine'",
        "it has no feed at all",
    )
    assert component_error(ComponentKind.SIGNAL, "mine/quoter") == (
        "'mine/quoter' is an optimizer, not a signal",
        "use it in `optimizer`",
    )
    assert component_error(ComponentKind.SIGNAL, "fixed-spread")[0] == "'fixed-spread' is an optimizer, not a signal"
    assert component_error(ComponentKind.FEED, "mine") == (
        "'mine' is a plugin, expected one of its components",
        'write `use = "mine/..."`; `mmframe plugins show mine` lists them',
    )


def local_file(site, name: str, code: str = OPTIMIZER):
    return site.write(name, "from mmframe.plugin import *\n\nMMFRAME_API = 1\n" + textwrap.dedent(code))


def test_a_file_is_a_plugin_under_the_name_of_its_stem(site):
    path = local_file(site, "my_quoter.py")
    registry = Registry(local=[path])

    found = registry.component(ComponentKind.OPTIMIZER, "my_quoter/quoter")

    assert found.distribution == str(path)
    assert found.version.startswith("sha256:")
    assert registry.load("my_quoter").installed.origin == f"file {path}"
    assert "my_quoter" not in sys.modules


def test_a_broken_file_is_named_with_the_line(site):
    path = local_file(site, "my_quoter.py", "\n\nraise ValueError('no')\n")
    unparsable = site.write("other.py", "x = = 1\n")
    registry = Registry(local=[path, unparsable])
    before = set(sys.modules)

    with pytest.raises(PluginError) as caught:
        registry.load("my_quoter")
    with pytest.raises(PluginError) as syntax:
        registry.load("other")

    error = caught.value
    assert (error.code, error.message, error.cause) == (
        "plugin-import",
        "cannot load plugin 'my_quoter'",
        "ValueError: no",
    )
    assert error.distribution == f"file {path}"
    assert error.hint == f"see {path}:6; `mmframe plugins show {path}` prints the traceback"
    assert syntax.value.hint == f"see {unparsable}:1; `mmframe plugins show {unparsable}` prints the traceback"
    assert not [name for name in sys.modules.keys() - before if name.startswith("_mmframe_local_")]


def test_a_file_that_is_gone_or_no_python_is_an_import_error(site):
    registry = Registry(local=[site.path / "gone.py", site.write("data.txt", "x")])

    for name, file in (("gone", "gone.py"), ("data", "data.txt")):
        with pytest.raises(PluginError) as caught:
            registry.load(name)
        assert caught.value.code == "plugin-import"
        assert caught.value.hint == f"`mmframe plugins show {site.path / file}` prints the traceback"


def test_a_file_and_a_package_of_one_name_are_a_duplicate(site):
    site.install("my_quoter", OPTIMIZER)
    twin = site.path / "elsewhere"
    twin.mkdir()
    files = [local_file(site, "my_quoter.py"), local_file(site, "elsewhere/my_quoter.py")]

    with pytest.raises(PluginError) as caught:
        Registry(local=files[:1]).load("my_quoter")
    assert caught.value.hint == "`pip uninstall mmframe-my_quoter`"

    with pytest.raises(PluginError) as caught:
        Registry(blocked=frozenset(), local=[files[0], files[1]]).load("my_quoter")
    assert caught.value.code == "plugin-duplicate"


def test_loading_everything_reports_the_broken_ones_beside_the_others(site):
    site.install("works", OPTIMIZER)
    site.install("fails", "import nowhere_to_be_found")

    loaded, errors = Registry().load_all()

    assert {"core", "works"} <= {plugin.name for plugin in loaded}
    assert "fails" in [error.plugin for error in errors]


COMMANDS = """
@hookimpl
def mmframe_register_commands(registrar):
    registrar.add({name!r}, lambda: "a click command", summary="Does it.")
"""


def test_commands_of_plugins_are_collected_without_loading_them(site):
    site.install("tools", COMMANDS.format(name="chart"))
    site.install("zoo", COMMANDS.format(name="animals"))

    commands, errors = Registry().commands(reserved=("run", "check"))

    found = {command.name: command for command in commands}
    assert [found["animals"].plugin, found["chart"].plugin, found["chart"].summary] == ["zoo", "tools", "Does it."]
    assert [command.name for command in commands] == sorted(found)
    assert found["chart"].load() == "a click command"
    assert errors == ()


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("run", "command 'run' of plugin 'tools' is taken by 'mmframe'", True),
        ("chart", "command 'chart' of plugin 'tools' is taken by 'art'", True),
        ("Run it", "command of plugin 'tools': expected lower-case words joined by dashes, was 'Run it'", False),
    ],
)
def test_a_command_whose_name_is_taken_or_none_is_refused(site, name, message, hint):
    site.install("art", COMMANDS.format(name="chart"))
    site.install("tools", COMMANDS.format(name=name))

    commands, errors = Registry().commands(reserved=("run",))

    assert "tools" not in {command.plugin for command in commands}
    assert [(error.kind, error.message) for error in errors] == [("command", message)]
    assert (errors[0].hint == "rename it, for example to tools-" + name + ", or block one with `-p no:NAME`") is hint


def test_a_plugin_cannot_take_its_own_command_twice(site):
    site.install("tools", COMMANDS.format(name="chart") + '    registrar.add("chart", print, summary="Again.")\n')

    assert [error.message for error in Registry().commands()[1]] == [
        "command 'chart' of plugin 'tools' is taken by 'tools'"
    ]


def test_a_plugin_that_checks_plans_must_return_config_errors(site):
    site.install("strict", "@hookimpl\ndef mmframe_check_plan(plan): return [3]")
    site.install("right", '@hookimpl\ndef mmframe_check_plan(plan): return [ConfigError("no", key="feed")]')
    site.install("silent", "@hookimpl\ndef mmframe_check_plan(plan): return None")

    with pytest.raises(PluginError, match="mmframe_check_plan of plugin 'strict': expected ConfigError, was int"):
        Registry().load("strict").check_plan(None)
    with pytest.raises(PluginError, match="expected an iterable of ConfigError, was None"):
        Registry().load("silent").check_plan(None)
    (problem,) = Registry().load("right").check_plan(None)
    assert isinstance(problem, ConfigError)


def test_the_signals_that_provide_a_field_are_found_among_loaded_plugins(site):
    site.install(
        "mine",
        "@hookimpl\ndef mmframe_register_signals():\n"
        '    return [SignalSpec(name="s", summary="S.", build=print, provides="mood")]',
    )
    registry = Registry()

    assert registry.providers("mood") == ()
    registry.load("mine")
    assert registry.providers("mood") == ("mine/s",)
