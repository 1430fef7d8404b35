"""What a job may use."""

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.bids_app.engine import machine as resources
from scaae_nipype.bids_app.job import memory
from scaae_nipype.errors import UsageError
from scaae_nipype.model.network.context import MOST_VOLUMES


@pytest.mark.parametrize("text", ["", "8", "8X", "-1G", "0G", "G", "1.G.", "8 apples"])
def test_memory_needs_an_amount_and_a_unit(text):
    with pytest.raises(UsageError, match="give an amount with its unit"):
        resources.memory_in_gb(text)


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    """Give a machine with cgroups: a maker of limits by path."""

    def make(membership, limits):
        monkeypatch.setattr(resources, "_CGROUPS", tmp_path)
        proc = tmp_path / "self-cgroup"
        proc.write_text(membership)
        monkeypatch.setattr(resources, "_OWN_CGROUP", proc)
        for path, text in limits.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text + "\n")

    return make


def test_cgroup_2_limits_memory_and_processors(cgroups):
    limits = {"slurm/job/memory.max": "max", "slurm/memory.max": "2000000000", "slurm/job/cpu.max": "150000 100000"}
    cgroups("0::/slurm/job\n", limits)
    assert resources.available_memory_gb() == 2.0
    assert resources.available_processors() == 1


def test_cgroup_1_limits_memory(cgroups):
    limits = {
        "memory/docker/memory.limit_in_bytes": "1000000000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
    }
    cgroups("5:cpu,cpuacct:/docker\n4:memory:/docker\n0::/\n", limits)
    assert resources.available_memory_gb() == 1.0


def test_a_container_sees_its_own_limit_at_the_root(cgroups):
    cgroups("0::/somewhere/not/mounted\n", {"memory.max": "3000000000"})
    assert resources.available_memory_gb() == 3.0


def test_without_limits_the_machine_counts(cgroups):
    cgroups("0::/\n", {"memory.max": "max", "cpu.max": "max 100000"})
    assert resources.available_memory_gb() > 0.5
    assert resources.available_processors() >= 1


def test_peak_memory_is_that_of_the_step():
    resources.restart_peak_memory()
    before = resources.peak_memory_gb()
    block = bytearray(300_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert resources.peak_memory_gb() > before + 0.25
    del block
    resources.restart_peak_memory()
    assert resources.peak_memory_gb() < before + 0.15


def test_a_context_needs_memory_for_its_volumes_and_an_autoencoder_for_its_batch(tmp_path):
    def prepared(name, n_volumes):
        nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, n_volumes), "i2"), np.eye(4)), tmp_path / name)
        return tmp_path / name

    few, many = [prepared("a.nii.gz", 300)], [prepared("b.nii.gz", 2000), prepared("c.nii.gz", 2000)]
    assert memory.FITTED_VOLUMES == MOST_VOLUMES
    assert memory.training_gb("contextual", few) < 0.5 * memory.training_gb("contextual", many)
    assert memory.training_gb("contextual", many) == memory.training_gb("contextual", many * 5)
    assert memory.training_gb("autoencoder", few) == memory.training_gb("autoencoder", many)


def test_the_untrained_network_is_held_beside_what_is_scored(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 300), "i2"), np.eye(4)), tmp_path / "bold.nii.gz")
    run = tmp_path / "bold.nii.gz"
    plain, untrained = (memory.baselines_gb(names, run) for names in (["pca"], ["pca", "untrained"]))
    assert plain < memory.baselines_gb(["ica"], run)
    assert untrained == pytest.approx(plain + memory.memory_gb("extract", run))
    assert plain < memory.baselines_gb(["context", "pca"], run) < untrained


def test_caches_go_to_the_work_folder_unless_the_user_says_otherwise(tmp_path):
    found = resources.cache_environment(tmp_path, {"OMP_NUM_THREADS": "4", "TEMPLATEFLOW_HOME": "/mine"})
    assert found["MPLCONFIGDIR"].startswith(str(tmp_path))
    assert "TEMPLATEFLOW_HOME" not in found
    assert "OMP_NUM_THREADS" not in found
    assert found["NO_ET"] == "1"


@pytest.mark.parametrize(
    ("environment", "processors", "memory_gb"),
    [
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", "SLURM_MEM_PER_NODE": "600"}, 1, 600 * 2**20 / 1e9),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "1", "SLURM_MEM_PER_CPU": "500"}, 1, 500 * 2**20 / 1e9),
        ({"PBS_JOBID": "7", "NCPUS": "1"}, 1, None),
        ({"SGE_TASK_ID": "undefined", "NSLOTS": "1"}, 1, None),
        ({"LSB_JOBID": "7", "LSB_DJOB_NUMPROC": "1"}, 1, None),
        ({"SLURM_CPUS_PER_TASK": "1", "SLURM_MEM_PER_NODE": "600"}, None, None),  # a shell that is no job
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "4096", "SLURM_MEM_PER_NODE": "0"}, None, None),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "two", "SLURM_MEM_PER_NODE": "much"}, None, None),
    ],
)
def test_defaults_follow_what_a_scheduler_gave(environment, processors, memory_gb):
    """What is not told, or is more than there is, stays as it is without a scheduler."""
    assert resources.available_processors(environment) == (processors or resources.available_processors({}))
    assert resources.available_memory_gb(environment) == (memory_gb or resources.available_memory_gb({}))
