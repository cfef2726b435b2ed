"""What authors build on changes only on purpose: names and signatures are compared with `public_api.txt`."""

from __future__ import annotations

import difflib
import enum
import importlib
import inspect
import os
import pkgutil
import re
import types
from pathlib import Path

import pytest

SNAPSHOT = Path(__file__).with_name("public_api.txt")
PUBLIC = ("mmframe.domain", "mmframe.errors", "mmframe.plugin", "mmframe.ports")
UPDATE = "MMFRAME_UPDATE_PUBLIC_API"
ADVICE = f"""\
The public contract changed. If that was not meant, change it back: plugins of other people stand on it.
If it was meant: say so in CHANGELOG.md, raise MMFRAME_API when a plugin written for the old contract would break, then
    {UPDATE}=1 python3 dev.py test tests/architecture/{Path(__file__).name}"""


def test_the_public_contract_is_the_one_on_record():
    now = "".join(f"{line}\n" for name in public_modules() for line in described(name))
    if os.environ.get(UPDATE):
        SNAPSHOT.write_text(now, encoding="utf-8")

    recorded = SNAPSHOT.read_text(encoding="utf-8")

    changes = list(difflib.unified_diff(recorded.splitlines(), now.splitlines(), "on record", "now", lineterm="", n=0))
    if changes:
        pytest.fail("\n".join([ADVICE, *changes]), pytrace=False)


def public_modules():
    for name in PUBLIC:
        yield name
        for found in pkgutil.iter_modules(getattr(importlib.import_module(name), "__path__", [])):
            yield f"{name}.{found.name}"


def described(module_name):
    """Yield one line for each public name of a module and each public member of its classes."""
    module = importlib.import_module(module_name)
    for name in sorted(getattr(module, "__all__", ())):
        value = getattr(module, name)
        defined_in = getattr(value, "__module__", module_name)
        if defined_in.startswith("mmframe") and defined_in != module_name:
            yield f"{module_name}.{name} is {defined_in}.{name}"
        elif inspect.isclass(value):
            yield from described_class(f"{module_name}.{name}", value)
        elif inspect.isroutine(value):
            yield f"{module_name}.{name}{signature(value)}"
        elif isinstance(value, (bool, int, float, str)):
            yield f"{module_name}.{name} = {value!r}"
        elif isinstance(value, types.UnionType):
            yield f"{module_name}.{name} = {' | '.join(member.__name__ for member in value.__args__)}"
        else:
            yield f"{module_name}.{name}: {type(value).__name__}"


def described_class(name, cls):
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    if issubclass(cls, enum.Enum):
        yield f"{name}({bases})"
        yield from (f"{name}.{member.name} = {member.value!r}" for member in cls)
    else:
        yield f"{name}({bases}){'' if is_protocol(cls) else signature(cls)}"
        yield from (f"{name}.{field}: {kind}" for field, kind in own_fields(cls))
    for member, value in sorted(vars(cls).items()):
        if member.startswith("_"):
            continue
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(value, property):
            yield f"{name}.{member} -> {value.fget.__annotations__.get('return')}"
        elif inspect.isfunction(function):
            word = "async " if inspect.iscoroutinefunction(function) else ""
            yield f"{word}{name}.{member}{signature(function)}"


def own_fields(cls):
    # Fields of values stand in their signature; a protocol's and an exception's attributes only in the annotations.
    return sorted(vars(cls).get("__annotations__", {}).items()) if is_protocol(cls) else ()


def is_protocol(cls):
    return getattr(cls, "_is_protocol", False)


def signature(value):
    """Return a signature as it stands in the source, whether its annotations have been evaluated or not."""
    text = re.sub(r"ForwardRef\('([^']*)'[^)]*\)", r"\1", str(inspect.signature(value)))
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    return re.sub(r"\b(?:decimal|mmframe(?:\.[a-z_]+)+)\.(?=[A-Z])", "", text)
