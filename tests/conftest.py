"""Wheels of every distribution, and clean environments to install them into. Nothing here needs a network."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def wheelhouse() -> Path:
    """Return the folder of third-party wheels that the set-up of dev.py keeps beside its environment."""
    folder = Path(sys.prefix) / "wheelhouse"
    if not folder.is_dir():
        pytest.skip("no third-party wheels: run the tests with `python3 dev.py test`")
    return folder


@pytest.fixture(scope="session")
def built_wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the wheel of each distribution of this repository by its name, such as `mmframe`."""
    is_alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = tmp_path_factory.mktemp("wheels") if is_alone else tmp_path_factory.getbasetemp().parent / "wheels"
    folder.mkdir(exist_ok=True)
    members = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
    with (folder / "lock").open("w") as lock:
        # Built once for all processes of a run; the others wait for it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not any(folder.glob("*.whl")):
            pip(
                "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder),
                *map(str, members),
            )  # fmt: skip
    wheels = {path.name.partition("-")[0].replace("_", "-"): path for path in folder.glob("*.whl")}
    names = {tomllib.loads((member / "pyproject.toml").read_text())["project"]["name"] for member in members}
    assert wheels.keys() == names
    return wheels


@pytest.fixture(scope="session")
def make_wheel_venv(
    tmp_path_factory: pytest.TempPathFactory, wheelhouse: Path, built_wheels: dict[str, Path]
) -> Callable[..., Path]:
    """Return a function that makes an environment of wheels alone and returns its `bin` folder.

    Its arguments are names of `built_wheels` (also with an extra: `mmframe[testing]`) or paths of other wheels.
    """

    def make(*wanted: str | Path) -> Path:
        folder = tmp_path_factory.mktemp("clean") / "venv"
        venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
        install_wheels(folder / "bin", wheelhouse, built_wheels, *wanted)
        return folder / "bin"

    return make


@pytest.fixture(scope="session")
def kernel_wheel_venv(make_wheel_venv: Callable[..., Path]) -> Path:
    """Return the `bin` folder of an environment with the kernel's wheel and what `mmframe.testing` needs.

    It is shared: install nothing into it; `make_wheel_venv` makes another.
    """
    return make_wheel_venv("mmframe[testing]")


@pytest.fixture(scope="session")
def every_wheel_venv(make_wheel_venv: Callable[..., Path], built_wheels: dict[str, Path]) -> Path:
    """Return the `bin` folder of an environment with the wheels of the kernel and of every plugin. It is shared."""
    return make_wheel_venv(*built_wheels)


def install_wheels(scripts: Path, wheelhouse: Path, built_wheels: dict[str, Path], *wanted: str | Path) -> None:
    requirements = []
    for item in wanted:
        name, bracket, extra = str(item).partition("[")
        requirements.append(f"{built_wheels.get(name, name)}{bracket}{extra}")
    links = [f"--find-links={wheelhouse}", *(f"--find-links={path.parent}" for path in built_wheels.values())]
    pip("--python", str(scripts / "python"), "install", "--no-index", "--no-compile", *links, *requirements)


def pip(*words: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
