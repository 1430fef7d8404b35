"""Labels that file systems or Nipype refuse cost one participant a line; those that can be borne are borne."""

import pytest
from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe

from scaae_nipype.bids_app.inputs.bids_names import BidsFile, trouble_with_labels
from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.plan import plan_text
from scaae_nipype.derivatives.names import node_name

BORNE = ("a b", "é", "(x)", "a%s", "日本", "p+q", "-1", "it's")
REFUSED = {
    "x[1]": "its label 'x[1]' has a [",
    "x*": "its label 'x*' has a *",
    "l" * 180: "its labels are too long",
    "é" * 90: "its labels are too long",
}


@pytest.mark.parametrize("label", [*BORNE, *REFUSED, "a\nb"])
def test_nipype_takes_the_name_of_every_node(label):
    assert pe.Node(IdentityInterface(fields=["x"]), name=node_name(f"sub-{label}")).name.startswith("sub_")


def test_no_two_labels_share_a_node():
    stems = ["sub-a b", "sub-a+b", "sub-a_b", "sub-é", "sub-è"]
    assert len({node_name(stem) for stem in stems}) == len(stems)


def test_each_odd_label_costs_its_participant_a_line_and_nobody_else(tree):
    for label in (*BORNE, *REFUSED, "a\nb", "good"):
        tree.run(f"sub-{label}_task-rest")
    inputs = find_inputs(tree.root)
    assert {run.entities["sub"] for run in inputs.runs} == {*BORNE, "good"}
    faults = {skip.path.parent.parent.name: skip.reason for skip in inputs.skipped if skip.is_fault}
    for label, words in REFUSED.items():
        assert words in faults[f"sub-{label}"]
    assert "cannot be printed: rename it" in faults[r"sub-a\nb"]
    lines = plan_text(inputs).splitlines()
    assert len([line for line in lines if line.startswith("Cannot run: ")]) == len({*faults.values()})


def test_a_name_is_too_long_where_that_of_an_output_would_be():
    for length, is_refused in ((100, False), (180, True)):
        file = BidsFile.parse(f"sub-{'l' * length}_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz")
        assert bool(trouble_with_labels(file)) == is_refused
