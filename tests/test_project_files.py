"""What stands around the code says the same as the code: the version, the checks of every change, the forms."""

import re
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from scaae_nipype import __version__

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def read_yaml(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def setup() -> ConfigParser:
    """Give setup.cfg."""
    found = ConfigParser()
    found.read_string(text("setup.cfg"))
    return found


def test_files_that_must_carry_the_version_carry_this_one(setup):
    assert setup["metadata"]["version"] == "attr: scaae_nipype._version.__version__"
    assert version("scaae-nipype") == __version__
    assert yaml.safe_load(text("CITATION.cff"))["version"] == __version__
    assert re.search(r"^ARG VERSION=(.+)$", text("Dockerfile"), re.MULTILINE)[1] == __version__
    assert re.search(r"^## (\S+)", text("CHANGELOG.md"), re.MULTILINE)[1] == __version__


def test_every_tool_of_the_tests_is_pinned(setup):
    pinned = {line.partition("==")[0].lower() for line in text("constraints.txt").splitlines() if "==" in line}
    wanted = [setup["options"]["install_requires"], setup["options.extras_require"]["test"]]
    named = {re.split(r"[ >=]", line)[0].lower() for block in wanted for line in block.split("\n") if line.strip()}
    assert len(named) > 25
    assert named - pinned == set()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_few_rights_an_end_and_actions_of_a_known_version(path):
    workflow = read_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 180
        assert job["runs-on"] == "ubuntu-24.04"
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_workflows_run_targets_that_there_are(setup):
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    used = {
        word
        for path in WORKFLOWS
        for line in re.findall(r"run: make (.+)", path.read_text(encoding="utf-8"))
        for word in line.split()
        if "=" not in word
    }
    assert used >= {"lint", "types", "contracts", "doctests", "coverage", "test-slow"}
    assert used - targets == set()
    pythons = read_yaml(ROOT / ".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    promised = re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])
    assert pythons == promised


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_forms_are_complete(path):
    form = read_yaml(path)
    assert {"name", "description", "body"} <= set(form)
    names = [field["id"] for field in form["body"]]
    assert len(names) == len(set(names))
    assert all(field["type"] in {"textarea", "input", "checkboxes"} for field in form["body"])
    assert all(field["attributes"]["label"] for field in form["body"])


def test_a_bug_report_asks_for_what_helps():
    asked = text(".github/ISSUE_TEMPLATE/bug_report.yml")
    for words in ("scaae-bids --version", "--dry-run", "OUT/logs"):
        assert words in asked


def test_hooks_use_the_projects_own_ruff():
    hooks = [hook for repo in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    entries = [hook["entry"] for hook in hooks if "entry" in hook]
    assert {"ruff-check", "ruff-format", "check-yaml", "trailing-whitespace"} <= {hook["id"] for hook in hooks}
    assert entries and all(entry.startswith(".venv/bin/ruff") for entry in entries)
