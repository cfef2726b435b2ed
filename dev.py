#!/usr/bin/env python3
"""Work on mmframe from a clone: makes `.venv` when it is missing or stale, then does what was asked.

    python3 dev.py run examples/01_first_run/strategy.toml --for 20s
    python3 dev.py test [pytest arguments]
    python3 dev.py lint
    python3 dev.py docs
    python3 dev.py setup

Every other word is a command of `mmframe` itself, run in the current folder with its own exit code; `test`, `lint` and
`docs` run in the clone. What this script has to say goes to stderr: stdout belongs to the command.

Standard library only. Old Pythons must parse the whole file, so that it can tell them what is missing.
"""

import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

UNAVAILABLE = 69
"""Exit code (EX_UNAVAILABLE) when there is no environment to run in; those of `mmframe` end at 5."""
USAGE = 2
MINIMUM_PYTHON = (3, 11)


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(f"dev.py: {text}\n")
    sys.stderr.flush()


def newer_python() -> str:
    """Return the name of an interpreter on PATH that is new enough and starts, or an empty string."""
    for minor in range(MINIMUM_PYTHON[1] + 4, MINIMUM_PYTHON[1] - 1, -1):
        name = f"python3.{minor}"
        # A version manager's shim stands on PATH even where its Python is not switched on: try it.
        if shutil.which(name) and subprocess.call([name, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return name
    return ""


def missing_part() -> str:
    """Return what this machine lacks and the way out; an empty string when nothing is missing."""
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info < MINIMUM_PYTHON:
        newer = newer_python()
        way_out = f"There is a newer one: {newer} dev.py" if newer else "Install one and start dev.py with it."
        return f"mmframe needs Python 3.{MINIMUM_PYTHON[1]} or newer, {sys.executable} is {version}. {way_out}"
    if os.name != "posix":
        return "dev.py needs Linux or macOS; on Windows start it inside WSL."
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            return (
                f"{sys.executable} has no module {module!r}, without which no environment can be made. "
                f"On Debian and Ubuntu: sudo apt install python{version}-venv"
            )
    return ""


if __name__ == "__main__" and missing_part():
    say(missing_part())
    sys.exit(UNAVAILABLE)

# From here on Python is new enough and POSIX is there; only the syntax above and below is held to the old ones.

import fcntl  # noqa: E402 - absent on Windows, which has been told so
import tomllib  # noqa: E402 - absent before Python 3.11
import venv  # noqa: E402 - may be absent on Debian
from typing import Any, NamedTuple, NoReturn  # noqa: E402 - NoReturn is absent in Python 3.6.1

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / "bin"
PYTHON = SCRIPTS / "python"
STAMP = VENV / "dev.stamp"
LOCK = VENV / "dev.lock"
WHEELHOUSE = VENV / "wheelhouse"
CONSTRAINTS = ROOT / "constraints.txt"

GROUP_OF_COMMAND = {"test": "checkers", "lint": "lint", "docs": "docs"}
"""Dependency groups that are installed when their command is first used, so that a first run waits less."""
LINES_SHOWN, COLUMNS_SHOWN = 15, 160
"""How much of a failed tool's output is shown."""


class SetupError(Exception):
    """The environment cannot be made; the text says why."""


def main(arguments: list[str]) -> int:
    """Do what `arguments` ask for and return the exit code."""
    if not arguments:
        sys.stderr.write(__doc__)
        return USAGE
    command, rest = arguments[0], arguments[1:]
    if command in {"lint", "setup"} and rest:
        say(f"{command} takes no arguments, was {' '.join(rest)!r}")
        return USAGE
    failure = make_ready(GROUP_OF_COMMAND.get(command))
    if failure or command == "setup":
        return failure
    if command == "lint":
        return lint()
    return become(command, rest)


def make_ready(group: str | None) -> int:
    """Have `.venv` current; return 0, or the exit code to end with."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # What is ignored stays so, as `nohup` wants it.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)
    try:
        prepare(group)
    except SetupError as error:
        say(str(error))
    except OSError as error:
        say(f"cannot set up {VENV}: {error}")
    except KeyboardInterrupt:
        say("set-up was interrupted; the next start makes .venv anew")
        return 128 + signal.SIGINT
    else:
        return 0
    return UNAVAILABLE


def _end(number: int, _frame: object) -> None:
    # An exception, so that the child that we wait for is ended too.
    sys.exit(128 + number)


# --- running ---------------------------------------------------------------------------------------------------------


def become(command: str, rest: list[str]) -> NoReturn:
    """Replace this process by the command, so that signals and the exit code are the command's own."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_DFL)
    if command == "test":
        words = [str(PYTHON), "-P", "-m", "pytest", *side_by_side(rest), *rest]
    elif command == "docs":
        words = [str(PYTHON), "-P", "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--fresh-env"]
        words += [*rest, "docs", "docs/_build/html"]
    else:
        words = [str(SCRIPTS / "mmframe"), command, *rest]
    variables = environment()
    if command in {"test", "docs"}:
        os.chdir(ROOT)
    elif Path(shutil.which("mmframe") or "") != SCRIPTS / "mmframe":
        # `mmframe` is not on the caller's PATH: a command that it shows for copying must say where it stands.
        program, here = SCRIPTS / "mmframe", Path.cwd()
        variables["MMFRAME_PROGRAM"] = shlex.quote(
            str(program.relative_to(here) if program.is_relative_to(here) else program)
        )
    os.execve(words[0], words, variables)  # noqa: S606 - the words are the user's own


def side_by_side(rest: list[str]) -> list[str]:
    """Return what makes pytest run files side by side: for all tests, many of which wait; a choice runs in order."""
    if not all(word.startswith("--cov") for word in rest):
        return []
    # In the order of collection, which has the long files first: those with the most tests are not the longest.
    processes = str((os.cpu_count() or 1) + 1)
    return ["--numprocesses", processes, "--dist", "loadfile", "--no-loadscope-reorder"]


def lint() -> int:
    """Run every static check, also after one has failed; return 1 if any did."""
    sources = [str(member.folder / "src") for member in members() if member.folder != ROOT]
    checks = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy", "mmframe", "dev.py", "docs", *sources],
        "import-linter": ["lint-imports", "--no-logo"],
    }
    failed = []
    for name, words in checks.items():
        say(name)
        if subprocess.call([str(SCRIPTS / words[0]), *words[1:]], cwd=ROOT, env=environment()) != 0:
            failed.append(name)
    say(f"lint: failed: {', '.join(failed)}" if failed else "lint: all passed")
    return 1 if failed else 0


def environment() -> dict[str, str]:
    """Return the variables of a process in `.venv`, as if it had been activated."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    variables["VIRTUAL_ENV"] = str(VENV)
    variables["PATH"] = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", os.defpath)])
    return variables


# --- set-up ----------------------------------------------------------------------------------------------------------


class Member(NamedTuple):
    """One distribution of this repository."""

    folder: Path
    pyproject: dict[str, Any]

    @property
    def name(self) -> str:
        """Return the distribution's name."""
        return str(self.pyproject["project"]["name"])

    @property
    def version_line(self) -> str:
        """Return the line of code that its version is read from; an empty string when pyproject.toml says it."""
        file = self.pyproject.get("tool", {}).get("hatch", {}).get("version", {}).get("path")
        if file is None:
            return ""
        found = re.search(r"^__version__.*$", (self.folder / file).read_text(encoding="utf-8"), re.MULTILINE)
        return found.group() if found else ""

    @property
    def requirements(self) -> list[str]:
        """Return what it needs to run, its extras included."""
        project = self.pyproject["project"]
        extras: dict[str, list[str]] = project.get("optional-dependencies", {})
        return [*project.get("dependencies", []), *(text for extra in extras.values() for text in extra)]

    @property
    def installed_part(self) -> bytes:
        """Return what its installation follows from: all but the settings of ruff, mypy, pytest and the like."""
        tables = {name: table for name, table in self.pyproject.items() if name != "tool"}
        return json.dumps([tables, self.pyproject.get("tool", {}).get("hatch")], default=str).encode()


def members() -> list[Member]:
    """Return every distribution of this repository, the kernel first."""
    files = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    return [Member(file.parent, tomllib.loads(file.read_text(encoding="utf-8"))) for file in files]


def prepare(group: str | None) -> None:
    """Make `.venv` current, with `group` beside the base groups; hold it until this process or its successor ends.

    Whoever uses `.venv` holds its lock together with the others, whoever changes it holds it alone: a set-up never
    pulls packages from under a running strategy, and two set-ups never meet.
    """
    VENV.mkdir(exist_ok=True)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(lock, True)  # noqa: FBT003 - the standard library has no keyword for it
    while True:
        take(lock, fcntl.LOCK_SH, "another dev.py sets .venv up; waiting for it to end")
        if is_ready(group):
            return
        take(lock, fcntl.LOCK_EX, ".venv must be set up and another command runs in it; waiting for that to end")
        # Somebody else may have done it while we waited.
        if not is_ready(group):
            set_up(group)


def take(lock: int, how: int, waiting: str) -> None:
    """Take the lock; tell why if that means to wait."""
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        say(waiting)
        fcntl.flock(lock, how)


def is_ready(group: str | None) -> bool:
    """Tell whether `.venv` can be used as it is, with the tools of `group`."""
    return not reasons_to_remake() and (group is None or group in read_stamp()["groups"])


def reasons_to_remake() -> list[str]:
    """Return why `.venv` must be made anew; empty when it need not be."""
    if not PYTHON.exists():
        return ["there is none yet"]
    stamp = read_stamp()
    if not (stamp and (SCRIPTS / "mmframe").exists()):
        return ["it was not finished"]
    was, now = stamp["inputs"], inputs()
    return [f"{name} changed" for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)]


def read_stamp() -> dict[str, Any]:
    """Return what `.venv` was made from and which groups it has; empty when no set-up came to its end."""
    try:
        stamp: dict[str, Any] = json.loads(STAMP.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return stamp


def inputs() -> dict[str, str]:
    """Return everything that `.venv` is made from, by name; of files the hash."""
    found = {
        # Not sys.executable: in an activated .venv that would be .venv itself.
        "Python": f"{sys.version} {sys.base_prefix}",
        "the folder": str(ROOT),
    }
    for member in members():
        found[f"the version of {member.name}"] = member.version_line
        found[str((member.folder / "pyproject.toml").relative_to(ROOT))] = digest(member.installed_part)
    for file in (Path(__file__), CONSTRAINTS):
        found[file.name] = digest(file.read_bytes())
    return found


def digest(content: bytes) -> str:
    """Return a hash of `content` as text."""
    return hashlib.sha256(content).hexdigest()


def set_up(group: str | None) -> None:
    """Make `.venv` if it must be made, then add the tools of `group`.

    Raises:
        SetupError: If a step failed; what is there is then made anew by the next start.
    """
    started = time.monotonic()
    made_from = inputs()
    reasons = reasons_to_remake()
    groups = [] if reasons else list(read_stamp()["groups"])
    STAMP.unlink(missing_ok=True)
    if reasons:
        say(f"making .venv with Python {sys.version.split()[0]} ({', '.join(reasons)})")
        make_environment()
        install_members()
    if group is not None:
        say(f"installing {', '.join(map(distribution_of, requirements_of(group)))}")
        install(*requirements_of(group))
        groups += [group, *groups_in(group)]
    STAMP.write_text(json.dumps({"inputs": made_from, "groups": groups}, indent=2), encoding="utf-8")
    say(f".venv is ready after {time.monotonic() - started:.0f} s")


def make_environment() -> None:
    """Replace `.venv` by an environment that holds pip alone."""
    for path in VENV.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != LOCK:
            path.unlink()
    try:
        venv.EnvBuilder(symlinks=True, with_pip=True, prompt="mmframe").create(VENV)
    except subprocess.CalledProcessError as error:
        raise SetupError(f"cannot make .venv:\n{last_lines(error.output.decode(errors='replace'))}") from error


def install_members() -> None:
    """Install every member editable, the test tools, the benchmarks' peers, and the wheels that the wheel tests use."""
    everyone = members()
    names = [member.name for member in everyone]
    say(f"installing {', '.join(names)} and the test tools")
    # The build backend comes first: members are then built without an isolated environment each.
    install(*requirements_of("build"))
    editables = [f"--editable={member.folder}" for member in everyone]
    editables[0] += "[testing]"
    install("--no-build-isolation", *editables, *requirements_of("test"))
    for peer in requirements_of("peers"):
        try:
            install(peer)
        except SetupError as error:
            say(f"going on without {peer}, the benchmarks will have one peer less to compare with: {error}")
    # Wheels of all this for the tests that install into clean environments: tests use no network.
    outside = [text for member in everyone for text in member.requirements if distribution_of(text) not in names]
    pip("wheel", f"--wheel-dir={WHEELHOUSE}", *outside, *requirements_of("build"), *requirements_of("test"))


def groups_in(group: str) -> list[str]:
    """Return the dependency groups that one includes directly."""
    entries = members()[0].pyproject["dependency-groups"][group]
    return [entry["include-group"] for entry in entries if isinstance(entry, dict)]


def requirements_of(group: str) -> list[str]:
    """Return the requirements of one dependency group of the root pyproject.toml, included groups and all."""
    requirements: list[str] = []
    for entry in members()[0].pyproject["dependency-groups"][group]:
        requirements += requirements_of(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return requirements


def distribution_of(requirement: str) -> str:
    """Return the normalised name in a requirement such as `mmframe[testing]>=0.1`."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0]).lower()


def install(*words: str) -> None:
    """Install into `.venv`; modules are compiled when they are first imported, most never are."""
    pip("install", "--no-compile", *words)


def pip(command: str, *words: str) -> None:
    """Run pip in `.venv` under the constraints.

    Raises:
        SetupError: If pip failed, with its last lines.
    """
    variables = {
        # Each of these would have pip see or fill another place than .venv.
        name: value
        for name, value in environment().items()
        if name not in {"PYTHONPATH", "PIP_PREFIX", "PIP_ROOT", "PIP_TARGET"}
    }
    variables["PIP_USER"] = "0"
    result = subprocess.run(
        [
            *(str(PYTHON), "-m", "pip", command, "--disable-pip-version-check", "--no-input"),
            *(f"--constraint={CONSTRAINTS}", *words),
        ],
        cwd=ROOT,
        env=variables,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if result.returncode != 0:
        has_no_network = "connection broken by" in result.stdout
        why = "cannot reach its package index; set-up needs a network" if has_no_network else "failed"
        raise SetupError(f"pip {command} {why}. Its last lines:\n{last_lines(result.stdout)}")


def last_lines(text: str) -> str:
    """Return the end of a tool's output, indented."""
    return "\n".join(f"    {line[:COLUMNS_SHOWN]}" for line in text.strip().splitlines()[-LINES_SHOWN:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
