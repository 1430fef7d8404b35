"""Datasets of many participants: the work of finding runs grows with their number and not with its square."""

import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.query import Query

FEWER = 20


def link_participants(tree, numbers: range) -> None:
    """Give the runs of participant 0 further names, for others."""
    first = tree.root / "sub-0"
    files = [path for path in first.rglob("*task-rest*") if path.is_file()]
    for number in numbers:
        for path in files:
            name = Path(str(path.relative_to(tree.root)).replace("sub-0", f"sub-{number}"))
            (tree.root / name).parent.mkdir(parents=True, exist_ok=True)
            (tree.root / name).hardlink_to(path)


def calls_of(work) -> Counter:
    """Count the calls of every function of this project, pathlib and fnmatch while something is done."""
    counts: Counter = Counter()

    def count(frame, event, argument):
        if event == "call" and any(name in frame.f_code.co_filename for name in ("bids_app", "pathlib", "fnmatch")):
            counts[frame.f_code.co_qualname] += 1

    earlier = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(earlier)
    return counts


@pytest.mark.parametrize("named", [False, True], ids=["everybody", "all by name"])
@pytest.mark.parametrize(
    "kind",
    ["healthy", "without events", "not usable", "in .bidsignore", "runs in .bidsignore", "without a match"],
)
def test_twice_as_many_participants_are_twice_the_work(tree, make_tree, kind, named):
    """No function is called four times as often for twice as many participants."""
    raw = make_tree("raw", DatasetType="raw")
    for run in ("1", "2"):
        tree.run(f"sub-0_task-rest_run-{run}", space="space-T1w" if kind == "not usable" else "space-MNI152NLin6Asym")
        raw.add(f"sub-0_task-{'nback' if kind == 'without events' else 'rest'}_run-{run}_events.tsv")
    tree.run("sub-0_task-nback")  # so that there always is one to use
    counts = []
    for numbers in (range(1, FEWER), range(FEWER, 2 * FEWER)):
        link_participants(tree, numbers)
        link_participants(raw, numbers)
        if "in .bidsignore" in kind:
            part = "_task-rest_run-2*" if kind.startswith("runs") else ""
            (tree.root / ".bidsignore").write_text("".join(f"sub-{n}{part}\n" for n in range(1, numbers.stop)))
        labels = [str(number) for number in range(numbers.stop)] if named else []
        query = Query.of(participants=labels, tasks=["nback"] if kind == "without a match" else [])
        found = SimpleNamespace()

        def find(query=query, found=found):
            found.inputs = find_inputs(tree.root, query, derivatives={"raw": raw.root})

        counts.append(calls_of(find))
        n_found = len(found.inputs.runs) + len(found.inputs.skipped)
        assert n_found == {"without a match": numbers.stop if named else 1}.get(kind, 2 * numbers.stop + 1)
    grown = {name: (counts[0][name], n) for name, n in counts[1].items() if n > max(3 * counts[0][name], 10 * FEWER)}
    assert grown == {}
