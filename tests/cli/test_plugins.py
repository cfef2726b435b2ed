from __future__ import annotations

import json
import os

import pytest

from mmframe import __version__
from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.config.option_types import option_fields

OPTIMIZER = """\
import attrs
import click

from mmframe.domain.views import NO_QUOTE
from mmframe.plugin import OptimizerRule, OptimizerSpec, hookimpl, option

MMFRAME_API = 1


@attrs.frozen
class QuietOptions:
    reason: str = option(help="Why.", choices=("tired", "careful"), example="careful")
    patience_s: float = option(help="How long to wait.", default=2.5, minimum=0.0, maximum=60.0, unit="s")


def quiet(params, state, view, inventory, advice, proposal):
    return NO_QUOTE


@hookimpl
def mmframe_register_optimizers():
    return [
        OptimizerSpec(
            name="quiet",
            summary="Never quotes.",
            description="x = 1\\n\\nA test of patience.",
            needs=("volatility",),
            options=QuietOptions,
            build=lambda options, context: OptimizerRule(quiet, ()),
        )
    ]


@click.command()
@click.argument("name")
def greet(name):
    "Greet NAME."
    click.echo(f"hello {name}")


@hookimpl
def mmframe_register_commands(registrar):
    registrar.add("greet", lambda: greet, summary="Say hello.")
"""


@pytest.fixture
def install(tmp_path):
    """Install a distribution with one plugin by writing its metadata, as pip would."""

    def install(name, code=OPTIMIZER, *, distribution=None, version="1.2"):
        distribution = distribution or f"mmframe-{name}"
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
        metadata = tmp_path / f"{module}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(f"[mmframe]\n{name} = {module}\n")

    return install


@pytest.fixture
def with_plugins(command, repository, tmp_path):
    """Run a command line that sees what `install` installed."""
    paths = os.pathsep.join((str(repository), str(tmp_path)))

    def run(*words):
        return command(*words, env={"PYTHONPATH": paths})

    return run


def test_the_list_says_what_is_installed_without_importing_it(install, with_plugins):
    install("quiet", "raise SystemExit('imported')")

    shown = with_plugins("plugins")

    assert shown.status == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[1] == ["core", "mmframe", __version__, "built", "in"]
    assert ["quiet", "mmframe-quiet", "1.2", "package"] in rows


def test_the_list_tells_what_cannot_be_used_and_what_is_blocked(install, with_plugins):
    install("quiet")
    install("quiet", distribution="quiet-too")
    install("loud")

    answer = json.loads(with_plugins("-p", "no:loud", "plugins", "--json").stdout)

    states = {plugin["distribution"]: plugin["state"] for plugin in answer["plugins"]}
    assert states["quiet-too"] == states["mmframe-quiet"] == "cannot be used: two distributions claim the name"
    assert states["mmframe-loud"] == "blocked by -p"


def test_a_plugin_is_shown_with_its_components(install, with_plugins):
    install("quiet")

    assert with_plugins("plugins", "show", "quiet").stdout == (
        "quiet  mmframe-quiet 1.2, entry point mmframe_quiet\n"
        "\n"
        "optimizer\n"
        "  quiet/quiet  Never quotes.\n"
        "\n"
        "1 component; `mmframe plugins show quiet/quiet` explains one and its options.\n"
    )


def test_a_component_is_shown_with_what_it_needs_and_its_options(install, with_plugins):
    install("quiet")

    assert with_plugins("plugins", "show", "quiet/quiet").stdout == (
        "quiet/quiet  optimizer, mmframe-quiet 1.2\n"
        "  Never quotes.\n"
        "\n"
        "  x = 1\n"
        "\n"
        "  A test of patience.\n"
        "\n"
        "  needs  signal volatility\n"
        "\n"
        "Options\n"
        '  reason  (required)  string, one of tired, careful, such as "careful"\n'
        "      Why.\n"
        "  patience_s = 2.5    number, s, at least 0, at most 60\n"
        "      How long to wait.\n"
    )


def test_a_program_gets_the_same_of_a_component(install, with_plugins):
    install("quiet")

    answer = json.loads(with_plugins("plugins", "show", "quiet/quiet", "--json").stdout)

    assert answer["distribution"] == "mmframe-quiet"
    assert answer["components"][0]["use"] == "quiet/quiet"
    assert answer["components"][0]["needs"] == "signal volatility"
    assert answer["components"][0]["options"][0] == {
        "name": "reason",
        "type": "a string",
        "unit": "",
        "is_required": True,
        "default": None,
        "help": "Why.",
        "minimum": None,
        "maximum": None,
        "above": None,
        "choices": ["tired", "careful"],
        "limit": None,
    }


def test_built_ins_are_shown_one_line_each_and_one_by_its_bare_name(invoke):
    every = invoke("plugins", "show", "core")
    one = invoke("plugins", "show", "fixed-spread")

    assert every.status == one.status == 0
    assert "  fixed-spread " in every.stdout
    assert one.stdout == invoke("plugins", "show", "core/fixed-spread").stdout
    assert "spread_bps = 10" in one.stdout


def test_an_option_that_is_a_limit_is_shown_with_how_it_works(invoke):
    shown = " ".join(invoke("plugins", "show", "daily-loss").stdout.split())
    (component,) = json.loads(invoke("plugins", "show", "daily-loss", "--json").stdout)["components"]

    assert "A hard limit of all markets with its quote asset, latched until an operator resumes." in shown
    limits = {option["name"]: option["limit"] for option in component["options"]}
    assert limits["max_daily_loss_quote"] == {"scope": "group", "is_hard": True, "is_latched": True}


@pytest.mark.parametrize("spec", RISK_CONTROLS, ids=lambda spec: spec.name)
def test_every_risk_control_tells_which_of_its_options_are_limits_and_how_they_work(spec):
    assert spec.limits
    assert spec.limits.keys() <= {field.name for field in option_fields(spec.options)}
    assert {facts.scope for facts in spec.limits.values()} <= {"market", "asset", "group", "strategy"}


def test_a_plugin_that_cannot_be_imported_shows_its_whole_traceback(install, with_plugins):
    install("quiet", "def inner():\n    raise ValueError('no luck')\n\ninner()\n")

    ended = with_plugins("plugins", "show", "quiet")

    assert ended.status == 3
    assert 'mmframe_quiet.py", line 2, in inner' in ended.stderr
    assert "error[plugin-import]: cannot load plugin 'quiet'" in ended.stderr
    assert "  cause  ValueError: no luck" in ended.stderr
    assert "bug in mmframe" not in ended.stderr


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["plugins", "show", "nothing"], 3, "plugin 'nothing' is not installed"),
        (["plugins", "show", "fixed-sprad"], 2, "did you mean 'fixed-spread'?"),
        (["plugins", "show", "quite"], 2, "did you mean 'quiet'?"),
        (["plugins", "show", "core/nothing"], 2, "plugin 'core' has no component 'nothing'"),
        (["plugins", "show", "none.py"], 3, "cannot load plugin 'none'"),
        (["-p", "no:quiet", "plugins", "show", "quiet"], 3, "plugin 'quiet' is blocked in this run"),
    ],
    ids=["plugin", "slip-of-a-built-in", "slip-of-a-plugin", "component", "file", "blocked"],
)
def test_what_is_not_there_is_said(install, with_plugins, words, status, message):
    install("quiet")

    ended = with_plugins(*words)

    assert ended.status == status
    assert message in ended.stderr


def test_a_local_file_is_shown_by_its_path(invoke, repository):
    shown = invoke("plugins", "show", repository / "examples" / "04_local_plugin" / "my_quoter.py")

    assert shown.status == 0
    assert "my_quoter/leaning" in shown.stdout


def test_a_plugins_command_is_listed_and_run_like_our_own(install, with_plugins):
    install("quiet")

    listed = with_plugins("plugins", "commands")
    run = with_plugins("greet", "world")

    assert ["mmframe", "greet", "quiet", "Say", "hello."] in [line.split() for line in listed.stdout.splitlines()]
    assert (run.status, run.stdout) == (0, "hello world\n")
    assert with_plugins("-p", "no:quiet", "greet", "world").status == 2


def test_a_broken_plugin_does_not_hide_the_commands_of_others(install, with_plugins):
    install("quiet")
    install("broken", "import nothing_of_the_kind")

    listed = with_plugins("plugins", "commands", "--json")

    answer = json.loads(listed.stdout)
    assert listed.status == 3
    assert "greet" in [one["name"] for one in answer["commands"]]
    assert answer["errors"][0]["code"] == "plugin-import"
    assert with_plugins("greet", "world").status == 0


@pytest.mark.parametrize(
    ("registered", "message"),
    [
        ("lambda: 7", "command 'greet' of plugin 'quiet': expected a click command, was int"),
        ("lambda: 1 / 0", "cannot load command 'greet' of plugin 'quiet'"),
    ],
    ids=["no command", "raises"],
)
def test_a_plugins_command_that_is_none_is_the_plugins_error(install, with_plugins, registered, message):
    install("quiet", OPTIMIZER.replace("lambda: greet", registered))

    ended = with_plugins("greet", "world")

    assert ended.status == 3
    assert f"error[plugin-command]: {message}" in ended.stderr
