"""Names and folders that cannot be used are refused, with a way out; nothing is ever overwritten."""

from __future__ import annotations

import tomllib

import pytest

from mmframe.errors import UsageError
from mmframe.scaffold import KINDS, create


@pytest.mark.parametrize("kind", KINDS)
def test_no_placeholder_is_left(tmp_path, kind):
    folder = create(kind, "my-thing", tmp_path)

    texts = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}
    assert [path for path, text in texts.items() if "@@" in text or path.suffix == ".tmpl"] == []


@pytest.mark.parametrize("name", ["tight-quoter", "mmframe-tight-quoter"])
def test_name_folder_distribution_package_and_entry_point_belong_together(tmp_path, name):
    folder = create("optimizer", name, tmp_path / "new" / "place")

    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert folder == tmp_path / "new" / "place" / "mmframe-tight-quoter"
    assert project["name"] == "mmframe-tight-quoter"
    assert project["entry-points"]["mmframe"] == {"tight-quoter": "mmframe_tight_quoter.plugin"}
    assert (folder / "src" / "mmframe_tight_quoter" / "py.typed").is_file()


@pytest.mark.parametrize(
    ("name", "expected", "suggestion"),
    [
        ("TightQuoter", "lower-case letters, digits and single dashes, starting with a letter", "tight-quoter"),
        ("my quoter!", "lower-case letters, digits and single dashes, starting with a letter", "my-quoter"),
        ("-x", "lower-case letters, digits and single dashes, starting with a letter", "x"),
        ("7up", "lower-case letters, digits and single dashes, starting with a letter", "up"),
        ("", "lower-case letters, digits and single dashes, starting with a letter", "my-quoter"),
        ("../evil", "lower-case letters, digits and single dashes, starting with a letter", "evil"),
        ("core", "a name that is not taken by mmframe or Python", "my-core"),
        ("class", "a name that is not taken by mmframe or Python", "my-class"),
        ("a" * 41, "at most 40 characters", "a" * 40),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_one_that_can(tmp_path, name, expected, suggestion):
    with pytest.raises(UsageError) as failure:
        create("optimizer", name, tmp_path)

    assert failure.value.message == f"name: expected {expected}, was {name!r}"
    assert failure.value.hint == f"for example {suggestion!r}"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(UsageError) as failure:
        create("strategy", "my-thing", tmp_path)

    kinds = "optimizer, signal, risk, book, feed, venue, history, sink, command"
    assert failure.value.message == f"kind: expected one of {kinds}, was 'strategy'"


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    folder = create("optimizer", "my-thing", tmp_path)
    (folder / "README.md").write_text("mine", encoding="utf-8")

    with pytest.raises(UsageError) as failure:
        create("signal", "my-thing", tmp_path)

    assert failure.value.message == f"{folder}: expected no such file or folder yet, was there already"
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(UsageError, match=r"/file"):
        create("optimizer", "my-thing", tmp_path / "file" / "below")
