"""Renders the public names of a module as Markdown, from its source: signatures and docstrings as they were written."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["api", "split_docstring"]

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?:[ ]+\S.*\n?|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w+): *", re.MULTILINE)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Field(NamedTuple):
    name: str
    code: str
    text: str


def api(module_name: str) -> Iterator[str]:
    """Yield a section for each public class and function of a module and one for its constants, in source order."""
    spec = importlib.util.find_spec(module_name)
    if spec is None or spec.origin is None:
        msg = f"{module_name}: expected a module, was nothing"
        raise ModuleNotFoundError(msg)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    public = set(_exported(tree))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in public:
            yield from _class(node)
        elif isinstance(node, _Function) and node.name in public:
            yield from ("", f"### `{node.name}`", "", "```python", _signature(node, is_method=False), "```", "")
            yield from _docstring(node)
    constants = [field for field in _fields(tree.body) if field.name in public]
    if constants:
        yield from ("", "### Constants", "")
        yield from _bullets(constants, {})


def split_docstring(text: str) -> tuple[str, dict[str, dict[str, str]]]:
    """Return a docstring's text without its sections, and of each section the entries by name."""
    sections = {}
    for title, body in _SECTION.findall(f"{text}\n"):
        parts = _ENTRY.split(inspect.cleandoc(body))
        if not parts[0].strip():
            entries = zip(parts[1::2], parts[2::2], strict=True)
            sections[title] = {name: " ".join(entry.split()) for name, entry in entries}
        else:
            sections[title] = {"": " ".join(body.split())}
    return _SECTION.sub("", f"{text}\n").strip(), sections


def _exported(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def _class(node: ast.ClassDef) -> Iterator[str]:
    text, sections = split_docstring(ast.get_docstring(node) or "")
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    yield from ("", f"### `{node.name}`", "")
    if bases:
        yield from (f"*{bases}*", "")
    yield from (text, "")
    fields = _fields(node.body)
    described = sections.get("Attributes", {})
    known = {field.name for field in fields}
    inherited = [_Field(name, name, "") for name in described if name not in known]
    yield from _bullets([*fields, *inherited], described)
    yield from _sections(sections)
    for member in node.body:
        if isinstance(member, _Function) and not member.name.startswith("_"):
            yield from (f"`{_signature(member, is_method=True)}`", *_indented(list(_docstring(member))), "")


def _fields(body: Sequence[ast.stmt]) -> list[_Field]:
    """Return public assignments, each with the string that stands below it."""
    fields = []
    for index, node in enumerate(body):
        if isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            name = ast.unparse(node.targets[0])
        else:
            continue
        if name.startswith("_") or ast.unparse(node).startswith(f"{name}: ClassVar"):
            continue
        after = body[index + 1] if index + 1 < len(body) else None
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            text = " ".join(after.value.value.split())
        fields.append(_Field(name, ast.unparse(node), text))
    return fields


def _bullets(fields: Sequence[_Field], described: dict[str, str]) -> Iterator[str]:
    for field in fields:
        text = field.text or described.get(field.name, "")
        yield f"- `{field.code}`{': ' if text else ''}{text}"
    yield ""


def _signature(node: _Function, *, is_method: bool) -> str:
    if any(ast.unparse(decorator) == "property" for decorator in node.decorator_list):
        return f"{node.name}: {ast.unparse(node.returns) if node.returns else 'Any'}"
    arguments = ast.unparse(node.args)
    if is_method:
        arguments = re.sub(r"^(self|cls)(, )?", "", arguments)
    word = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word}{node.name}({arguments}){returns}"


def _docstring(node: _Function) -> Iterator[str]:
    text, sections = split_docstring(ast.get_docstring(node) or "")
    yield from (text, "")
    yield from _sections(sections)


def _sections(sections: dict[str, dict[str, str]]) -> Iterator[str]:
    for title, entries in sections.items():
        if title == "Attributes":
            continue
        yield from (f"{title}:", "")
        yield from (f"- `{name}`: {entry}" if name else f"- {entry}" for name, entry in entries.items())
        yield ""


def _indented(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines as the body of a definition list's entry."""
    text = "\n".join(lines).strip().splitlines()
    yield f": {text[0]}" if text else ": -"
    yield from (f"  {line}".rstrip() for line in text[1:])
