# ruff: noqa: E501, ISC004 - exact messages stand on one line, or in pieces where they are too long for that
from __future__ import annotations

import os
from collections.abc import Mapping  # noqa: TC003 - options resolve their annotations at run time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Optional

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.config import parse_options
from mmframe.config.option_types import Reading, kind_of_key, option_fields, read_table
from mmframe.config.problems import Problems
from mmframe.config.text import toml_text
from mmframe.errors import ConfigErrors, DomainError
from mmframe.plugin import ComponentKind, Secret, Use, option


class Queue(Enum):
    FIRST = "first"
    LAST = "last"


@attrs.frozen
class Spreads:
    low: float = option(help="Calm.", default=5.0, above=0.0, unit="bps")
    high: float = option(help="Wild.", default=20.0, unit="bps")

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            msg = f"low: expected at most high = {self.high:g}, was {self.low:g}"
            raise DomainError(msg, hint="swap them")


@attrs.frozen
class Options:
    count: int = option(help="Count.", default=1, minimum=0, maximum=9)
    ratio: float = option(help="Ratio.", default=0.5, above=0.0, maximum=1.0)
    is_on: bool = option(help="On.", default=False)
    name: str = option(help="Name.", default="a", choices=("alpha", "beta"))
    size: Decimal = option(help="Size.", default=Decimal(1), above=0.0)
    file: Path | None = option(help="File.", default=None)
    key: Secret | None = option(help="Key.", default=None)
    provider: Use | None = option(help="Provider.", default=None)
    queue: Queue = option(help="Queue.", default=Queue.FIRST)
    spreads: Spreads = option(help="Spreads.", factory=Spreads)
    weights: tuple[float, ...] = option(help="Weights.", default=())
    names: list[str] = option(help="Names.", factory=list)
    window: tuple[int, float] = option(help="Window.", default=(1, 2.0))
    fees: Mapping[str, Decimal] = option(help="Fees.", factory=dict)
    level: Optional[int] = option(help="Level.", default=None)  # noqa: UP045 - authors write it so, too
    _hidden: int = option(help="Private.", default=0)


def problems_of(raw: dict[str, Any], cls: type = Options, **keywords: Any) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse_options(cls, raw, path=("t",), **keywords)
    return [
        f"{problem.message} ({problem.hint})" if problem.hint else problem.message for problem in caught.value.problems
    ]


def test_each_type_is_read_from_its_toml_form(tmp_path):
    options = parse_options(
        Options,
        {
            "count": 3,
            "ratio": 1,
            "is_on": True,
            "name": "beta",
            "size": "0.010",
            "file": "data/x.csv",
            "key": {"env": "KEY"},
            "provider": {"use": "openai/chat", "model": "m"},
            "queue": "last",
            "spreads": {"low": 7},
            "weights": [1, 2.5],
            "names": ["x"],
            "window": [2, 3],
            "fees": {"BTC": "0.1", "USDT": 1},
            "level": 4,
            "_hidden": 5,
        },
        directory=tmp_path,
    )

    assert options == Options(
        count=3,
        ratio=1.0,
        is_on=True,
        name="beta",
        size=Decimal("0.010"),
        file=tmp_path / "data/x.csv",
        key=Secret(value=None, source="env KEY"),
        provider=Use(use="openai/chat", options={"model": "m"}),
        queue=Queue.LAST,
        spreads=Spreads(low=7.0),
        weights=(1.0, 2.5),
        names=["x"],
        window=(2, 3.0),
        fees={"BTC": Decimal("0.1"), "USDT": Decimal(1)},
        level=4,
        hidden=5,
    )
    assert type(options.ratio) is float


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"count": True}, "t.count: expected an integer, was true"),
        ({"count": 1.0}, "t.count: expected an integer, was 1.0"),
        ({"count": -1}, "t.count: expected at least 0, was -1"),
        ({"count": 10}, "t.count: expected at most 9, was 10"),
        ({"count": 2**63}, "t.count: expected an integer of at most 64 bits, was 9223372036854775808"),
        ({"ratio": True}, "t.ratio: expected a number, was true"),
        ({"ratio": "1"}, "t.ratio: expected a number, was '1'"),
        ({"ratio": float("nan")}, "t.ratio: expected a finite number, was nan"),
        ({"ratio": float("-inf")}, "t.ratio: expected a finite number, was -inf"),
        ({"ratio": 0}, "t.ratio: expected above 0, was 0"),
        ({"ratio": 10**400}, "t.ratio: expected a number of at most 64 bits, was 1" + "0" * 56 + "..."),
        ({"is_on": 1}, "t.is_on: expected true or false, was 1"),
        ({"name": 1}, "t.name: expected a string, was 1"),
        ({"name": "alfa"}, "t.name: expected one of 'alpha', 'beta', was 'alfa' (did you mean 'alpha'?)"),
        ({"name": "\n"}, "t.name: expected one of 'alpha', 'beta', was '\\n'"),
        ({"size": 0.1}, 't.size: expected a decimal number as text, such as "0.01", or an integer, was 0.1 (write size = "0.1": a float is not exact)'),
        ({"size": float("nan")}, 't.size: expected a decimal number as text, such as "0.01", or an integer, was nan'),
        ({"size": True}, 't.size: expected a decimal number as text, such as "0.01", or an integer, was true'),
        ({"size": "1_0"}, "t.size: expected a decimal number as text, such as \"0.01\", or an integer, was '1_0'"),
        ({"size": "NaN"}, "t.size: expected a decimal number as text, such as \"0.01\", or an integer, was 'NaN'"),
        ({"size": "1e99"}, "t.size: expected a number between 1e-30 and 1e+30, was '1e99'"),
        ({"size": 2**64}, "t.size: expected an integer of at most 64 bits, was 18446744073709551616"),
        ({"size": "0"}, "t.size: expected above 0, was 0"),
        ({"file": ""}, "t.file: expected a path, was ''"),
        ({"file": "a\0b"}, "t.file: expected a path, was 'a\\x00b'"),
        ({"file": 3}, "t.file: expected a path, was 3"),
        ({"provider": "openai"}, "t.provider: expected { use = \"plugin/component\", ... }, was 'openai'"),
        ({"provider": {}}, 't.provider.use: missing, expected the component\'s name (write { use = "plugin/component", ... })'),
        ({"provider": {"use": 1}}, "t.provider.use: expected the component's name, was 1"),
        ({"queue": "lost"}, "t.queue: expected one of 'first', 'last', was 'lost' (did you mean 'last'?)"),
        ({"queue": []}, "t.queue: expected one of 'first', 'last', was an array"),
        ({"spreads": 5}, "t.spreads: expected a table, was 5"),
        ({"spreads": {"low": 0}}, "t.spreads.low: expected above 0 bps, was 0"),
        ({"spreads": {"low": 30}}, "t.spreads.low: expected at most high = 20, was 30 (swap them)"),
        ({"spreads": {"lo": 3}}, "t.spreads.lo: unknown key (did you mean 'low'?)"),
        ({"weights": 1}, "t.weights: expected an array, each item a number, was 1"),
        ({"weights": [1, "x"]}, "t.weights[1]: expected a number, was 'x'"),
        ({"window": 1}, "t.window: expected an array of 2: an integer, a number, was 1"),
        ({"window": [1]}, "t.window: expected an array of 2: an integer, a number, was an array of 1"),
        ({"window": [1, "x"]}, "t.window[1]: expected a number, was 'x'"),
        ({"fees": "x"}, 't.fees: expected a table, each value a decimal number as text, such as "0.01", or an integer, was \'x\''),
        ({"fees": {"a b": "-"}}, "t.fees.\"a b\": expected a decimal number as text, such as \"0.01\", or an integer, was '-'"),
        ({"key": 1}, 't.key: expected { env = "NAME" } or { file = "path" }, was 1'),
        ({"key": {}}, 't.key: expected { env = "NAME" } or { file = "path" }, was a table with nothing'),
        ({"key": {"env": "A", "file": "b"}}, 't.key: expected { env = "NAME" } or { file = "path" }, was a table with env, file'),
        ({"key": {"env": "a-b-secret"}}, "t.key.env: expected the name of an environment variable, was something else"),
        ({"key": {"file": 1}}, "t.key.file: expected a path, was 1"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_reported_with_what_was_expected(raw, expected):
    assert problems_of(raw) == [expected]


def test_every_problem_of_a_table_is_reported():
    assert len(problems_of({"count": True, "ratio": "x", "nme": 1, "size": 0.5})) == 4


def test_a_key_far_from_any_other_lists_what_is_known():
    assert problems_of({"zzz": 1}, Spreads) == ["t.zzz: unknown key (known here: high, low)"]
    assert problems_of({"zzz": 1}, attrs.make_class("Nothing", [])) == ["t.zzz: unknown key (nothing can be set here)"]


@attrs.frozen
class Required:
    size: Decimal = option(help="Size of an order.", unit="base units", example="0.01")
    rate: float = option(help="Rate.")


def test_a_missing_key_says_what_to_add():
    assert problems_of({}, Required) == [
        "t.rate: missing, expected a number (rate)",
        't.size: missing, expected a decimal number as text, such as "0.01", or an integer, in base units'
        ' (add `size = "0.01"`: size of an order)',
    ]  # fmt: skip


def test_a_secret_in_clear_text_is_refused_and_not_repeated():
    problems = problems_of({"key": "hunter2"})

    assert problems == [
        't.key: expected { env = "NAME" } or { file = "path" }, was a secret in clear text'
        " (put it into an environment variable or a file of mode 0600; treat the written one as leaked)"
    ]
    assert "hunter2" not in "".join(problems)


def test_a_secret_is_read_from_the_environment_only_when_asked_for(monkeypatch):
    monkeypatch.setenv("MM_KEY", " s3cret \n")

    read = parse_options(Options, {"key": {"env": "MM_KEY"}}, reads_secrets=True).key
    unread = parse_options(Options, {"key": {"env": "MM_KEY"}}).key

    assert read.reveal() == "s3cret"
    assert "s3cret" not in f"{read} {read!r}"
    with pytest.raises(DomainError, match="secret from env MM_KEY: was not read"):
        unread.reveal()


def test_an_environment_variable_that_is_not_there_or_empty_is_reported(monkeypatch):
    monkeypatch.delenv("MM_KEY", raising=False)
    unset = problems_of({"key": {"env": "MM_KEY"}}, reads_secrets=True)
    monkeypatch.setenv("MM_KEY", "  ")
    empty = problems_of({"key": {"env": "MM_KEY"}}, reads_secrets=True)

    hint = " (export MM_KEY=... before the run)"
    assert unset == [f"t.key.env: environment variable MM_KEY is not set{hint}"]
    assert empty == [f"t.key.env: environment variable MM_KEY is empty{hint}"]


def test_a_secret_is_read_from_a_private_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("s3cret\n")
    file.chmod(0o600)

    options = parse_options(Options, {"key": {"file": "key"}}, directory=tmp_path, reads_secrets=True)

    assert options.key.reveal() == "s3cret"
    assert str(options.key) == "<secret from file key>"


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        (b"x", 0o644, "expected mode 0600 of '{file}', was 0644 (chmod 600 {file})"),
        (b" \n", 0o600, "expected a secret in '{file}', was an empty file"),
        (b"\xff", 0o600, "expected UTF-8 text in '{file}', was something else"),
    ],
)
def test_a_secret_file_must_be_private_text(tmp_path, content, mode, expected):
    file = tmp_path / "key"
    file.write_bytes(content)
    file.chmod(mode)

    problems = problems_of({"key": {"file": "key"}}, directory=tmp_path, reads_secrets=True)

    assert problems == [f"t.key.file: {expected.format(file=file)}"]


def test_a_secret_file_must_be_a_file(tmp_path):
    absent = problems_of({"key": {"file": "key"}}, directory=tmp_path, reads_secrets=True)
    folder = problems_of({"key": {"file": "."}}, directory=tmp_path, reads_secrets=True)

    assert absent == [f"t.key.file: cannot read the secret's file '{tmp_path}/key': No such file or directory"]
    assert folder == [f"t.key.file: expected a secret in a file, was '{tmp_path}', which is not a file"]


def test_paths_start_at_the_file_and_know_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")

    assert parse_options(Options, {"file": "~/x"}, directory=tmp_path).file == Path("/home/someone/x")
    assert parse_options(Options, {"file": "/x"}, directory=tmp_path).file == Path("/x")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value="1e-20", max_value="1e20", places=20))
def test_a_decimal_keeps_every_digit(number):
    assert parse_options(Options, {"size": str(number)}).size.as_tuple() == number.as_tuple()


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.dates()))
def test_no_value_of_any_type_escapes_as_another_error(value):
    for name in ("count", "ratio", "is_on", "name", "size", "file", "key", "provider", "queue", "spreads", "fees"):
        problems = Problems()
        read_table(Options, {name: value}, (), Reading(problems=problems, directory=Path()))
        assert all(problem.key.startswith(name) for problem in problems.sorted())


@attrs.frozen
class Validated:
    low: int = option(help="Low.", default=1)
    rest: int = option(help="Rest.", default=1)

    def __attrs_post_init__(self) -> None:
        if self.low == 2:
            raise ValueError
        if self.low == 3:
            raise TypeError("rest of it is wrong", self)
        if self.low == 4:
            raise KeyError(self.low)


def test_what_validators_raise_becomes_a_located_problem():
    assert problems_of({"low": 2}, Validated) == ["t: ValueError"]
    assert problems_of({"low": 3}, Validated) == ["t: rest of it is wrong"]


def test_a_fault_of_a_validator_is_not_taken_for_bad_input():
    with pytest.raises(KeyError):
        parse_options(Validated, {"low": 4})


def defect(cls: type) -> tuple[str, str | None]:
    with pytest.raises(DomainError) as caught:
        option_fields(cls)
    return caught.value.message, caught.value.hint


def test_a_class_that_cannot_hold_options_is_refused():
    @attrs.frozen
    class Bare:
        x: int = 1

    @attrs.frozen
    class Strange:
        x: complex = option(help="X.", default=1j)

    @attrs.frozen
    class Several:
        x: int | str = option(help="X.", default=1)

    @attrs.frozen
    class Unimportable:
        x: "Nowhere" = option(help="X.", default=1)  # noqa: F821, UP037 - the defect

    @attrs.frozen
    class Kindless:
        source: Use = option(help="X.")

    class Plain:
        pass

    assert defect(Plain)[0] == "options Plain: expected a class made with attrs.frozen, was a plain class"
    assert defect(Bare)[0] == "options Bare.x: expected a field made with `option`, was another"
    assert (
        defect(Strange)[0] == "options Strange.x: expected a type that a strategy file can hold, was <class 'complex'>"
    )
    assert defect(Several)[0] == "options Several.x: expected a type that a strategy file can hold, was int | str"
    assert defect(Unimportable)[1] == "import the types of options at run time, outside of TYPE_CHECKING"
    assert defect(Kindless)[0].startswith("options Kindless.source: source: expected a name that ends with the kind")


@pytest.mark.parametrize("key", ["provider", "providers", "cheap_provider", "cheap_providers"])
def test_the_kind_of_a_nested_component_follows_from_its_key(key):
    assert kind_of_key(("adviser", 0, key, 1)) is ComponentKind.LLM_PROVIDER


def test_values_are_shown_as_toml():
    shown = toml_text({"a": [1, 2.5, True], "b": Queue.LAST, "c": Decimal("0.10"), "d": 'x"', "e": Spreads(low=5.0)})

    assert shown == '{ a = [1, 2.5, true], b = "last", c = "0.10", d = "x\\"", e = { low = 5, high = 20 } }'


def test_the_process_environment_is_what_secrets_are_read_from():
    assert Reading(problems=Problems(), directory=Path()).environment is os.environ
