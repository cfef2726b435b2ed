"""What `mmframe new plugin` makes works at once: its tests pass, its types hold, its strategy runs."""

from __future__ import annotations

import importlib.util
import json

import pytest

from mmframe.scaffold import KINDS

pytestmark = pytest.mark.slow

WITH_A_STRATEGY = [kind for kind in KINDS if kind != "command"]


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass(made, kind):
    ended = made.run(kind, "-m", "pytest", "-q", "-p", "no:cacheprovider")

    assert ended.returncode == 0, ended.stdout
    assert "passed" in ended.stdout
    assert "failed" not in ended.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_plugin_is_shown(made, kind):
    ended = made.run(kind, "-m", "mmframe", "plugins", "show", f"my-{kind}", "--json")

    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert f"my-{kind}" in json.dumps(shown)


@pytest.mark.parametrize("kind", WITH_A_STRATEGY)
def test_its_strategy_passes_check_and_uses_it(made, kind):
    text = (made.package(kind) / "examples" / "strategy.toml").read_text(encoding="utf-8")

    ended = made.run(kind, "-m", "mmframe", "check", "examples/strategy.toml")

    assert f'use = "my-{kind}/' in text
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_its_command_is_a_command_of_mmframe(made):
    ended = made.run("command", "-m", "mmframe", "my-command", "--maker-fee-bps", "1.5")

    assert (ended.returncode, ended.stdout) == (0, "half spread 1.5 bps, spread 3 bps\n"), ended.stderr


def test_a_venue_of_it_trades(made):
    words = ("run", "examples/strategy.toml", "--speed", "max", "--no-journal", "--json")

    ended = made.run("venue", "-m", "mmframe", *words)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["fills"] > 0


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is installed with the lint tools")
@pytest.mark.parametrize("kind", KINDS)
def test_its_types_hold(made, kind):
    # One cache for all kinds: the kernel's own types are read once.
    ended = made.run(kind, "-m", "mypy", "--cache-dir", str(made.folder / "mypy"), "src", "tests")

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is installed with the lint tools")
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_lint_free(made, kind):
    ended = made.run(kind, "-m", "ruff", "check", "--no-cache", ".")

    assert ended.returncode == 0, ended.stdout + ended.stderr
