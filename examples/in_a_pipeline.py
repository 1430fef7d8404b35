"""Functional brain networks inside your own Nipype pipeline.

Usage: ``python in_a_pipeline.py BOLD MASK CONFOUNDS MODEL_FOLDER WORK_FOLDER``

The model folder is what ``scaae-bids … train`` leaves in ``OUT/models``.
"""

import sys

from nipype.interfaces.io import DataSink
from nipype.pipeline import engine as pe

from scaae_nipype.options import Preparation
from scaae_nipype.workflows import init_scaae_wf


def build(bold: str, mask: str, confounds: str, model_dir: str, work_dir: str) -> pe.Workflow:
    """Connect our workflow to a node of yours: here, one that collects files."""
    scaae = init_scaae_wf(model_dir, preparation=Preparation(strategy="auto", smoothing_fwhm=6.0))
    scaae.inputs.inputnode.trait_set(in_file=bold, in_mask=mask, confounds_file=confounds)
    yours = pe.Node(DataSink(base_directory=work_dir), name="yours")
    pipeline = pe.Workflow(name="your_pipeline", base_dir=work_dir)
    pipeline.connect([(scaae, yours, [("outputnode.fbn_maps", "maps"), ("outputnode.overlap", "tables")])])
    return pipeline


if __name__ == "__main__":
    build(*sys.argv[1:]).run()
