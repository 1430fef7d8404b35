"""Rules of the house that can be counted: sizes, names, rooms, and tests that show something."""

import ast
import re
from collections import Counter
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("scaae_nipype", "workflows", "bids_app")
PRODUCT = sorted(path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
LONGEST = 400


def floor_of(path: Path) -> tuple[str, ...]:
    """Give the floor of a product file: a room of the library, or one of the two folders above it."""
    return path.parts[:2] if path.parts[0] == "scaae_nipype" and len(path.parts) > 2 else path.parts[:1]


def lines_of(path: Path) -> int:
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def test_no_product_file_is_longer_than_one_can_read():
    assert {str(path) for path in PRODUCT if lines_of(path) > LONGEST} == set()


def test_no_test_file_is_longer_than_one_can_read():
    assert [str(path) for path in TESTS if lines_of(path) > LONGEST] == []


def test_a_file_of_tests_is_of_one_group_at_most():
    """Groups are kept together by files (``tests/conftest.py``)."""
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in TESTS}
    named = {path: set(re.findall(r'xdist_group\("(\w+)"\)', text)) for path, text in texts.items()}
    assert {path.name: groups for path, groups in named.items() if len(groups) > 1} == {}
    assert {"main_job", "golden"} <= set().union(*named.values())


def test_a_subject_appears_once_per_floor():
    names = Counter((floor_of(path), path.name) for path in PRODUCT if path.name != "__init__.py")
    assert [name for name, times in names.items() if times > 1] == []


def test_every_package_is_installed():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {path.parent for path in PRODUCT}
    assert folders == {path.parent for path in PRODUCT if path.name == "__init__.py"}
    inside = {".".join(("scaae_nipype", *folder.parts)).replace(".scaae_nipype", "", 1) for folder in folders}
    assert sorted(setup["options"]["packages"].split()) == sorted(inside)


@pytest.mark.parametrize("folder", sorted({path.parent for path in TESTS} - {Path("tests")}), ids=str)
def test_tests_stand_in_the_room_that_they_are_of(folder):
    room = Path(*folder.parts[1:])
    assert any((ROOT / above / room).is_dir() for above in ("", "scaae_nipype"))


def shows_something(function: ast.FunctionDef, helpers: set[str]) -> bool:
    """Tell whether a test asserts, expects an error or a warning, or calls a function of its file that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in helpers | {"raises", "warns", "fail"} or name.startswith("assert_"):
                return True
    return False


@pytest.mark.parametrize("path", TESTS, ids=str)
def test_every_test_shows_something(path):
    functions = [
        node for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))) if isinstance(node, ast.FunctionDef)
    ]
    helpers = {one.name for one in functions if not one.name.startswith("test") and shows_something(one, set())}
    tests = [one for one in functions if one.name.startswith("test")]
    assert tests
    assert [one.name for one in tests if not shows_something(one, helpers)] == []


def test_files_that_the_documents_name_are_there():
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    named = {
        (document.name, name)
        for document in documents
        for name in re.findall(r"`((?:\w+/)*\w+\.py)[:`]", document.read_text(encoding="utf-8"))
    }
    assert len(named) > 10
    places = [ROOT, *(ROOT / folder for folder in (*FOLDERS, "benchmarks", "tests"))]
    assert {one for one in named if not any((place / one[1]).is_file() for place in places)} == set()
