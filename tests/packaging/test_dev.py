"""dev.py, as a person at a terminal meets it: in a fresh clone, with wheels on disk for a package index."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
OLD_PYTHON = "import sys; sys.version_info = (3, 8, 18, 'final', 0)"
NO_ENSUREPIP = """
import importlib.util as util
found = util.find_spec
util.find_spec = lambda name, package=None: None if name == "ensurepip" else found(name, package)
"""


def test_old_pythons_can_parse_it():
    ast.parse((ROOT / "dev.py").read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (OLD_PYTHON, "mmframe needs Python 3.11 or newer"),
        (
            NO_ENSUREPIP,
            "has no module 'ensurepip', without which no environment can be made. On Debian and Ubuntu: sudo",
        ),
    ],
    ids=["old", "no-ensurepip"],
)
def test_it_says_what_the_machine_lacks(machine, told):
    code = f"{machine}\nimport runpy\nrunpy.run_path({str(ROOT / 'dev.py')!r}, run_name='__main__')"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ended.returncode == 69
    assert ended.stdout == ""
    assert ended.stderr.startswith("dev.py: ")
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "is_side_by_side"),
    [
        pytest.param([], True, id="all"),
        pytest.param(["--cov"], True, id="all, with coverage"),
        pytest.param(["tests/engine"], False, id="some"),
        pytest.param(["-x"], False, id="to look for something"),
    ],
)
def test_all_tests_run_side_by_side_and_a_choice_in_order(words, is_side_by_side):
    code = "import runpy, sys; print(runpy.run_path(sys.argv[1])['side_by_side'](sys.argv[2:]))"

    ended = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "dev.py"), *words], capture_output=True, text=True, check=True
    )

    assert ("loadfile" in ended.stdout) is is_side_by_side


class Clone(NamedTuple):
    """A copy of the working tree whose set-up finds packages in one folder only."""

    folder: Path
    variables: dict[str, str]

    def start(self, *words, cwd=None):
        return subprocess.Popen(
            [sys.executable, str(self.folder / "dev.py"), *words],
            cwd=cwd or self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words, cwd=None):
        process = self.start(*words, cwd=cwd)
        stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def load(self):
        """Return this clone's dev.py as a module."""
        spec = importlib.util.spec_from_file_location("dev_of_clone", self.folder / "dev.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def make_clone(folder, packages):
    folder.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "mmframe-runs")
    for name in ("mmframe", "plugins", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "constraints.txt", "dev.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    variables |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": packages.as_uri(), "PIP_CONFIG_FILE": os.devnull}
    return Clone(folder, variables)


@pytest.fixture(scope="module")
def ready(tmp_path_factory, wheelhouse):
    """Return a clone that two first starts have set up at once, and what each of them said."""
    clone = make_clone(tmp_path_factory.mktemp("clones") / "a folder with spaces", wheelhouse)
    starts = [clone.start("--version") for _ in range(2)]
    said = [start.communicate(timeout=300) for start in starts]
    assert [start.returncode for start in starts] == [0, 0], said
    return clone, said


@pytest.mark.slow
def test_two_first_starts_at_once_make_one_environment(ready):
    _, said = ready

    errors = [stderr for _, stderr in said]

    assert sum("making .venv" in stderr for stderr in errors) == 1
    assert sum(".venv is ready after" in stderr for stderr in errors) == 1


@pytest.mark.slow
def test_what_set_up_says_stays_out_of_the_commands_output(ready):
    _, said = ready

    assert {stdout.split()[0] for stdout, _ in said} == {"mmframe"}
    assert {len(stdout.splitlines()) for stdout, _ in said} == {1}


@pytest.mark.slow
def test_a_peer_that_cannot_be_installed_does_not_stop_set_up(ready):
    _, said = ready

    assert "going on without order-book" in "".join(stderr for _, stderr in said)


@pytest.mark.slow
def test_a_ready_environment_is_used_in_silence(ready):
    clone, _ = ready

    ended = clone.run("--version")

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
def test_a_command_runs_in_the_folder_it_was_started_in(ready, tmp_path):
    clone, _ = ready
    shutil.copytree(clone.folder / "examples" / "01_first_run", tmp_path / "mine")

    ended = clone.run("check", "mine/strategy.toml", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_a_command_shown_for_copying_works_where_mmframe_is_not_on_the_path(ready):
    clone, _ = ready

    ended = clone.run("check", "examples/01_first_run/strategy.toml")

    assert ended.stdout.endswith("Run it   .venv/bin/mmframe run examples/01_first_run/strategy.toml\n")


@pytest.mark.slow
def test_a_command_shown_for_copying_names_a_clone_elsewhere_in_full(ready, tmp_path):
    clone, _ = ready
    shutil.copytree(clone.folder / "examples" / "01_first_run", tmp_path / "mine")

    ended = clone.run("check", "mine/strategy.toml", cwd=tmp_path)

    program = shlex.quote(str(clone.folder / ".venv" / "bin" / "mmframe"))
    assert ended.stdout.endswith(f"Run it   {program} run mine/strategy.toml\n")


@pytest.mark.slow
def test_a_command_shown_for_copying_is_short_where_the_environment_is_active(ready):
    clone, _ = ready
    path = os.pathsep.join([str(clone.folder / ".venv" / "bin"), clone.variables["PATH"]])

    ended = clone._replace(variables={**clone.variables, "PATH": path}).run(
        "check", "examples/01_first_run/strategy.toml"
    )

    assert ended.stdout.endswith("Run it   mmframe run examples/01_first_run/strategy.toml\n")


@pytest.mark.slow
def test_the_exit_code_is_the_commands_own(ready):
    clone, _ = ready

    assert clone.run("check", "no-such-file.toml").returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_reaches_the_strategy_and_leaves_nothing_behind(ready, number):
    clone, _ = ready
    run = clone.start("run", "examples/01_first_run/strategy.toml", "--json")
    first_words = run.stderr.readline()

    run.send_signal(number)
    stdout, stderr = run.communicate(timeout=60)

    # The strategy took this process's place, so there was never another one to leave behind.
    assert run.returncode == 0, first_words + stderr
    assert json.loads(stdout)["ended_because"].startswith("stopped by")


@pytest.mark.slow
def test_a_hang_up_that_is_ignored_stays_ignored(ready):
    clone, _ = ready
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run = clone.start("run", "examples/01_first_run/strategy.toml", "--for", "2s", "--json")
    signal.signal(signal.SIGHUP, before)
    run.stderr.readline()

    run.send_signal(signal.SIGHUP)
    stdout, stderr = run.communicate(timeout=60)

    assert run.returncode == 0, stderr
    assert "stopped by" not in json.loads(stdout)["ended_because"]


@pytest.mark.slow
def test_an_environment_is_stale_when_what_it_was_made_from_changes(ready):
    clone, _ = ready
    dev = clone.load()
    assert dev.reasons_to_remake() == []

    for file, change, reasons in (
        ("pyproject.toml", "\n[tool.mypy-of-a-friend]\n", []),
        ("pyproject.toml", "\n[project.urls]\nHome = 'https://example.com'\n", ["pyproject.toml changed"]),
        ("constraints.txt", "\n# renewed\n", ["constraints.txt changed"]),
        ("mmframe/__init__.py", "\n# no new version\n", []),
    ):
        before = (clone.folder / file).read_text(encoding="utf-8")
        (clone.folder / file).write_text(before + change, encoding="utf-8")
        assert dev.reasons_to_remake() == reasons
        (clone.folder / file).write_text(before, encoding="utf-8")

    assert dev.reasons_to_remake() == []


@pytest.mark.slow
def test_a_new_version_or_plugin_makes_an_environment_stale(ready):
    clone, _ = ready
    dev = clone.load()
    init = clone.folder / "mmframe" / "__init__.py"
    before = init.read_text(encoding="utf-8")
    plugin = clone.folder / "plugins" / "mmframe-new"
    plugin.mkdir(parents=True)
    (plugin / "pyproject.toml").write_text('[project]\nname = "mmframe-new"\nversion = "1"\n', encoding="utf-8")
    init.write_text(before.replace('__version__ = "', '__version__ = "9'), encoding="utf-8")

    reasons = dev.reasons_to_remake()
    init.write_text(before, encoding="utf-8")
    shutil.rmtree(plugin)

    assert "the version of mmframe changed" in reasons
    assert "plugins/mmframe-new/pyproject.toml changed" in reasons


@pytest.mark.slow
def test_without_a_network_it_says_so_and_starts_anew_next_time(tmp_path):
    clone = make_clone(tmp_path / "clone", tmp_path)
    del clone.variables["PIP_NO_INDEX"]
    # Nobody listens on the discard port of this machine.
    clone.variables.update(PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="1", PIP_TIMEOUT="1")

    ended = clone.run("--version")

    assert (ended.returncode, ended.stdout) == (69, "")
    assert "(there is none yet)" in ended.stderr
    assert "pip install cannot reach its package index; set-up needs a network. Its last lines:" in ended.stderr
    assert clone.load().reasons_to_remake() == ["it was not finished"]
