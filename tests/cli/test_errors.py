from __future__ import annotations

import pytest

from mmframe.cli.errors import error_object, error_text
from mmframe.errors import ConfigError, ConfigErrors, DataError, JournalError, PluginError, VersionConflictError


def import_failure(**changes):
    facts = {
        "kind": "import",
        "plugin": "binance",
        "distribution": "mmframe-binance 0.1.0, entry point mmframe_binance.plugin",
        "needed_by": 'feed.use = "binance/spot" (strategy.toml:9)',
        "cause": "ModuleNotFoundError: No module named 'cryptography'",
        "hint": "pip install --upgrade mmframe-binance; `mmframe plugins show binance` prints the traceback",
    }
    return PluginError("cannot load plugin 'binance'", **{**facts, **changes})


def test_a_plugin_error_says_who_needs_it_where_it_is_from_why_and_what_helps():
    assert error_text(import_failure()) == (
        "error[plugin-import]: cannot load plugin 'binance', needed by feed.use = \"binance/spot\" (strategy.toml:9)\n"
        "  from   mmframe-binance 0.1.0, entry point mmframe_binance.plugin\n"
        "  cause  ModuleNotFoundError: No module named 'cryptography'\n"
        "  fix    pip install --upgrade mmframe-binance; `mmframe plugins show binance` prints the traceback"
    )


def test_a_need_that_the_message_already_tells_is_not_told_twice():
    error = import_failure(needed_by="'binance'", distribution=None, cause=None, hint=None)

    assert error_text(error) == "error[plugin-import]: cannot load plugin 'binance'"


def test_every_problem_of_a_file_has_its_place_and_its_fix():
    error = ConfigErrors(
        (
            ConfigError("feed.dept: unknown key", key="feed.dept", file="s.toml", line=9, hint="did you mean 'depth'?"),
            ConfigError("markets: expected at least one", key="markets", file="s.toml"),
        ),
        plugin_errors=(import_failure(needed_by=None, cause=None, distribution=None, hint=None),),
    )

    assert error_text(error) == (
        "error[config]: feed.dept: unknown key (s.toml:9)\n"
        "  fix    did you mean 'depth'?\n"
        "error[config]: markets: expected at least one (s.toml)\n"
        "error[plugin-import]: cannot load plugin 'binance'\n"
        "3 problems; nothing was started"
    )


def test_one_problem_is_not_counted():
    error = ConfigErrors((ConfigError("a: b", key="a", file="s.toml", line=1),))

    assert error_text(error) == "error[config]: a: b (s.toml:1)"


def test_a_machine_gets_the_same_facts_and_no_empty_ones():
    assert error_object(ConfigErrors((ConfigError("a: b", key="a", file="s.toml", line=1),))) == {
        "code": "config",
        "message": "1 problem in the strategy file",
        "exit_code": 2,
        "problems": [{"code": "config", "message": "a: b", "exit_code": 2, "key": "a", "file": "s.toml", "line": 1}],
        "plugin_errors": [],
    }
    assert error_object(import_failure(cause=None)) == {
        "code": "plugin-import",
        "message": "cannot load plugin 'binance'",
        "exit_code": 3,
        "hint": "pip install --upgrade mmframe-binance; `mmframe plugins show binance` prints the traceback",
        "plugin": "binance",
        "distribution": "mmframe-binance 0.1.0, entry point mmframe_binance.plugin",
        "needed_by": 'feed.use = "binance/spot" (strategy.toml:9)',
    }


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            DataError("expected 8 columns, was 7", file="l2.csv", line=12),
            "error[data]: l2.csv:12: expected 8 columns, was 7",
        ),
        (JournalError("locked", hint="wait"), "error[journal]: locked\n  fix    wait"),
        (
            VersionConflictError("order 7: expected version 1, was 2", expected=1, was=2),
            (
                "error[version-conflict]: order 7: expected version 1, was 2\n"
                "  fix    read the order again and retry on its current version"
            ),
        ),
    ],
    ids=["data", "journal", "version-conflict"],
)
def test_any_expected_error_is_one_line_and_its_way_out(error, text):
    assert error_text(error) == text
