"""Nipype workflows: nodes and connections, explicit arguments, the sentence for the Methods text."""

from .additions import init_additions_wf
from .evaluation import init_evaluation_wf
from .networks import init_networks_wf
from .nulls import init_nulls_wf, init_surrogate_templates_wf
from .outputs import init_derivatives_wf, init_reports_wf
from .preparation import init_prepare_run_wf
from .resources import Resources
from .scaae import init_scaae_wf
from .training import init_training_wf

__all__ = [
    "Resources",
    "init_additions_wf",
    "init_derivatives_wf",
    "init_evaluation_wf",
    "init_networks_wf",
    "init_nulls_wf",
    "init_prepare_run_wf",
    "init_reports_wf",
    "init_scaae_wf",
    "init_surrogate_templates_wf",
    "init_training_wf",
]
