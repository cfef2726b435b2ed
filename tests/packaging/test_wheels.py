"""What people install: wheels in a clean environment, away from the source tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser

import pytest

pytestmark = pytest.mark.slow

RUNTIME_DEPENDENCIES = {"anyio", "attrs", "click", "httpx", "msgspec", "pluggy", "rich", "tomli", "websockets"}


@pytest.fixture
def first_run(tmp_path, repository):
    """Return a copy of the first example's strategy file, with nothing of the repository around it."""
    shutil.copytree(
        repository / "examples" / "01_first_run", tmp_path / "first", ignore=shutil.ignore_patterns("*-runs")
    )
    return tmp_path / "first" / "strategy.toml"


def mmframe(scripts, *words, cwd):
    """Run the installed command; no variable may lead it back to the source tree."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    command = [str(scripts / "mmframe"), *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=120)


def test_the_installed_kernel_is_the_wheels_own(every_wheel_venv, tmp_path):
    command = [str(every_wheel_venv / "python"), "-c", "import mmframe; print(mmframe.__file__)"]

    place = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    assert place.startswith(str(every_wheel_venv.parent))


def test_help_of_the_installed_command(every_wheel_venv, tmp_path):
    ended = mmframe(every_wheel_venv, "--help", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "Usage: mmframe" in ended.stdout


def test_every_installed_plugin_is_listed(every_wheel_venv, built_wheels, tmp_path):
    ended = mmframe(every_wheel_venv, "plugins", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert [name for name in built_wheels if name not in ended.stdout] == []


def test_the_first_example_passes_check(every_wheel_venv, first_run):
    ended = mmframe(every_wheel_venv, "check", first_run, cwd=first_run.parent)

    assert ended.returncode == 0, ended.stderr


def test_the_first_example_quotes_and_trades_with_the_kernel_alone(kernel_wheel_venv, first_run):
    ended = mmframe(
        kernel_wheel_venv, "run", first_run, "--speed", "max", "--for", "20s", "--json", cwd=first_run.parent
    )

    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["decisions"] > 0
    assert result["orders"]
    assert result["fills"]


def test_the_kernel_depends_on_nothing_else(built_wheels):
    with zipfile.ZipFile(built_wheels["mmframe"]) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(wheel.read(name).decode())

    required = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]

    assert {text.partition(">=")[0] for text in required} == RUNTIME_DEPENDENCIES


def test_a_wheel_holds_its_package_and_nothing_else(built_wheels):
    for name, path in built_wheels.items():
        package = name.replace("-", "_")
        with zipfile.ZipFile(path) as wheel:
            files = wheel.namelist()

        assert f"{package}/py.typed" in files
        assert {file.partition("/")[0].partition("-")[0] for file in files} == {package}
        assert [file for file in files if "__pycache__" in file or file.startswith(f"{package}/tests/")] == []


def test_the_source_distribution_builds_the_same_wheel(built_wheels, repository, tmp_path):
    hatch = [sys.executable, "-m", "hatchling", "build"]
    subprocess.run([*hatch, "-t", "sdist", "-d", str(tmp_path)], cwd=repository, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = next(path for path in tmp_path.iterdir() if path.is_dir())
    subprocess.run([*hatch, "-t", "wheel", "-d", str(tmp_path)], cwd=unpacked, check=True, capture_output=True)

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as ours, zipfile.ZipFile(built_wheels["mmframe"]) as direct:
        assert sorted(ours.namelist()) == sorted(direct.namelist())
    assert (unpacked / "dev.py").is_file()
    assert (unpacked / "tests" / "conftest.py").is_file()
