"""One model of many runs inside your own Nipype pipeline: prepare each, join them, train, extract networks of each.

Usage: ``python train_in_a_pipeline.py WORK_FOLDER BOLD BOLD …``

Join runs by an `IdentityInterface` and give the lists to a plain node. A ``JoinNode(TrainModel(seed=7, …))`` trains
once, but Nipype leaves the arguments of a joined interface out of the node's hash: with another seed the old model
stays.
"""

import sys

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe

from scaae_nipype.interfaces.model import ExtractNetworks, TrainModel
from scaae_nipype.interfaces.preparation import PrepareRun


def build(bolds: list[str], work_dir: str, *, grid_mask: str | None = None, **training) -> pe.Workflow:
    """Connect a pipeline that iterates over runs; `training` holds inputs of `TrainModel` (preset, seed …)."""
    grid = {"grid_mask": grid_mask} if grid_mask else {}
    runs = pe.Node(IdentityInterface(fields=["bold"]), name="runs", iterables=[("bold", bolds)])
    prepare = pe.Node(PrepareRun(strategy="auto", **grid), name="prepare")
    fields = ["in_file", "in_mask", "in_samples", "in_metadata"]
    joined = pe.JoinNode(IdentityInterface(fields=fields), name="joined", joinsource="runs", joinfield=fields)
    train = pe.Node(TrainModel(**grid, **training), name="train")
    extract = pe.MapNode(ExtractNetworks(), name="extract", iterfield=["in_file", "in_mask", "in_samples"])

    pipeline = pe.Workflow(name="networks_of_all", base_dir=work_dir)
    pipeline.connect(
        [
            (runs, prepare, [("bold", "in_file")]),
            (
                prepare,
                joined,
                [
                    ("out_file", "in_file"),
                    ("out_mask", "in_mask"),
                    ("out_samples", "in_samples"),
                    ("out_metadata", "in_metadata"),
                ],
            ),
            (
                joined,
                train,
                [("in_file", "in_files"), ("in_samples", "in_samples"), ("in_metadata", "in_metadata")],
            ),
            (joined, extract, [("in_file", "in_file"), ("in_mask", "in_mask"), ("in_samples", "in_samples")]),
            (train, extract, [("model_dir", "model_dir")]),
        ]
    )
    return pipeline


if __name__ == "__main__":
    build(sys.argv[2:], sys.argv[1], seed=7).run()
