"""Hundreds of runs in one process: memory stays where it is, and nothing is left open or lying about."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from scaae_nipype.interfaces.evaluation import MatchTemplates
from scaae_nipype.interfaces.model import ExtractNetworks
from scaae_nipype.interfaces.preparation import PrepareRun

N_RUNS = int(os.environ.get("SOAK_RUNS", "500"))

SETTLED = 50
"""Runs before which memory may grow: imports, caches and the allocator's pools."""

MOST_GROWTH = 1.0
"""MB per 100 runs."""


def resident_mb():
    """Memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_descriptors():
    """Give what is open, by number; the listing's own descriptor is closed by the time it is looked at."""
    return {path.name: path.readlink() for path in list(Path("/proc/self/fd").iterdir()) if path.is_symlink()}


def files_below(*folders):
    return {path for folder in folders for path in Path(folder).rglob("*")}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory and descriptors are read from /proc")
def test_many_runs_in_one_process_leave_no_memory_descriptors_or_files(
    bold, grid_mask, make_model, templates, tmp_path, monkeypatch, caplog
):
    """Prepare, extract and score again and again; print the slope of memory over runs."""
    caplog.set_level("ERROR", logger="nipype.interface")  # pytest would keep every warning of every run
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    model = str(make_model())

    def one_run():
        folder = tmp_path / "run"
        folder.mkdir()
        prepared = PrepareRun(**bold, strategy="none", grid_mask=grid_mask).run(cwd=str(folder)).outputs
        run = {"in_file": prepared.out_file, "in_mask": prepared.out_mask, "in_samples": prepared.out_samples}
        networks = ExtractNetworks(**run, model_dir=model, device="cpu", num_threads=1).run(cwd=str(folder)).outputs
        matching = MatchTemplates(**run, fbn_maps=networks.fbn_maps, templates=templates, grid_mask=grid_mask)
        assert Path(matching.run(cwd=str(folder)).outputs.overlap).stat().st_size
        shutil.rmtree(folder)

    one_run()  # imports, and what they open for good
    gc.collect()
    descriptors, files = open_descriptors(), files_below(tmp_path)
    memory = []
    for _ in range(N_RUNS):
        one_run()
        memory.append(resident_mb())
    gc.collect()
    slope = 100 * stats.linregress(np.arange(SETTLED, N_RUNS), memory[SETTLED:]).slope
    print(f"{N_RUNS} runs: {slope:+.3f} MB per 100 runs, {memory[SETTLED]:.1f} MB then {memory[-1]:.1f} MB")
    assert open_descriptors() == descriptors
    assert files_below(tmp_path) == files
    assert slope < MOST_GROWTH
