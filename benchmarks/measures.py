"""One measurement each, in a process of its own: ``python -m benchmarks.measures NAME [ARG …]`` prints JSON.

Every measurement gives seconds (median of repeats, after a warm-up) and the peak memory of its whole process.
"""

from __future__ import annotations

import gc
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

REPEATS = 5
HIGH_PASS = 0.008


def median_seconds(function: Callable[[], object], repeats: int = REPEATS) -> float:
    function()
    seconds = []
    for _ in range(repeats):
        gc.collect()
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _model(preset: str, precision: str):
    from scaae_nipype.grid import load_grid
    from scaae_nipype.model import PRESETS, Model
    from scaae_nipype.model.weights import new_network

    grid = load_grid()
    return Model(new_network(PRESETS[preset], grid, seed=0).eval(), grid, {"Precision": precision})


def _noise(n: int, grid) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, grid.n_voxels), dtype=np.float32)


def published_forward() -> dict:
    """Extract as published: the whole network, fp32, one volume at a time."""
    import torch

    model = _model("published", "fp32")
    volume = model.volumes(_noise(1, model.grid))
    with torch.inference_mode():
        return {"seconds_per_volume": median_seconds(lambda: model.network(volume))}


def published_step() -> dict:
    """Train as published: whole network, fp32, Adam, batch of 4 to bound memory."""
    import torch

    model = _model("published", "fp32")
    network, volumes = model.network.train(), model.volumes(_noise(4, model.grid))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        (network(volumes).volumes - volumes).square().mean().backward()
        optimiser.step()

    return {"seconds_per_volume": median_seconds(step, 2) / len(volumes)}


def extraction(preset: str, precision: str) -> dict:
    """Extract networks, channel weights and codes with the fused path; give the attention path's arithmetic rate."""
    import torch

    from scaae_nipype.model.extraction.extractor import Extractor
    from scaae_nipype.model.extraction.threads import map_in_threads

    model = _model(preset, precision)
    vectors = _noise(24, model.grid)  # enough for threads to have warmed up, as they have in a run
    extractor = Extractor(model)
    seconds = median_seconds(lambda: list(extractor.batches(vectors)), 3) / len(vectors)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    attend_to, volumes = extractor.read.attend, model.volumes(vectors[:2])
    seen = volumes if preset == "published" else model.network.views(volumes).stacked.detach()
    volumes_seen = 12 * [seen[:1], seen[1:]]
    macs = sum(kernel.numel() for kernel in attend_to.kernels) * volumes[0].numel()
    layout = torch.channels_last_3d
    attend = median_seconds(lambda: list(map_in_threads(torch.inference_mode()(attend_to), volumes_seen)), 3) / 24
    with torch.inference_mode():
        x = torch.randn(2, 32, *volumes.shape[2:]).to(dtype).contiguous(memory_format=layout)
        kernel = torch.randn(32, 32, 5, 5, 5).to(dtype).contiguous(memory_format=layout)
        convolve = torch.inference_mode()(lambda x: torch.nn.functional.conv3d(x, kernel, padding=2))
        together = median_seconds(lambda: convolve(x)) / 2  # all threads on two volumes, or a volume for each
        alone = min(together, median_seconds(lambda: list(map_in_threads(convolve, 12 * [x[:1], x[1:]]))) / 24)
    reference = 32 * 32 * 125 * volumes[0].numel() / alone
    return {
        "seconds_per_volume": seconds,
        "gflops": 2 * macs / attend / 1e9,
        "gflops_of_one_convolution": 2 * reference / 1e9,
        "share_of_the_fastest_convolution": macs / attend / reference,
        "share_with_everything_around": macs / seconds / reference,
    }


def training_step(precision: str) -> dict:
    """Train the autoencoder preset: forward, backward and Adam for a batch of 8, as the learner does it."""
    import torch

    from scaae_nipype.model.presets import RECIPES
    from scaae_nipype.model.training.learner import Learner

    model = _model("autoencoder", precision)
    mask = np.ascontiguousarray(model.grid.mask[model.box])
    learner = Learner(model.network.train(), recipe=RECIPES["calibrated"], n_steps=10, place=model.volumes, mask=mask)
    learner.log = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    optimiser = torch.optim.Adam(model.network.parameters(), lr=1e-3)
    vectors = torch.from_numpy(_noise(8, model.grid))

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = learner.training_step(vectors, 0)
        loss.backward()
        optimiser.step()

    return {"seconds_per_volume": median_seconds(step, 3) / len(vectors)}


def _simulated_run(n_volumes: int):
    from scaae_nipype.grid import load_grid

    grid = load_grid()
    random = np.random.default_rng(0)
    patterns = random.standard_normal((20, grid.n_voxels), dtype=np.float32)
    courses = np.cumsum(random.standard_normal((n_volumes, 20)), axis=0).astype(np.float32)
    data = (courses - courses.mean(axis=0)) @ patterns + 20 * _noise(n_volumes, grid)
    return grid, (data - data.mean(axis=0)) / data.std(axis=0)


def whole_run(method: str, n_volumes: int = 148) -> dict:
    """Turn one prepared run on the 4 mm grid into networks: SCAAE, CanICA or dictionary learning, 20 components."""
    grid, data = _simulated_run(n_volumes)
    if method == "scaae":
        from scaae_nipype.model import extract_networks
        from scaae_nipype.options import Training

        model = _model(Training.preset, "fp32")
        seconds = median_seconds(lambda: extract_networks(model, data), 1)
    else:
        from nilearn.decomposition import CanICA, DictLearning
        from nilearn.image import new_img_like

        image = new_img_like(grid.image(grid.mask[grid.mask]), np.moveaxis(grid.volumes(data), 0, -1))
        mask = grid.image(np.ones(grid.n_voxels, dtype=bool))
        cls = {"canica": CanICA, "dictlearning": DictLearning}[method]
        started = time.perf_counter()
        cls(n_components=20, mask=mask, smoothing_fwhm=None, random_state=0, n_jobs=2).fit(image)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "seconds_per_volume": seconds / n_volumes}


def prepare(path: str) -> dict:
    """Prepare a run with this package."""
    from scaae_nipype.grid import load_grid
    from scaae_nipype.options import Preparation
    from scaae_nipype.preparation import prepare_run

    preparation = Preparation(strategy="published-code", high_pass=HIGH_PASS)
    with tempfile.TemporaryDirectory() as scratch:  # as the node does it: the matrix lives in a file
        started = time.perf_counter()
        run = prepare_run(path, grid=load_grid(), preparation=preparation, scratch_dir=scratch)
        seconds, peak = time.perf_counter() - started, peak_mb()
    np.save(
        Path(path).with_suffix(".ours.npy"), run.data[:, ::37]
    )  # touches all of the matrix, which the node does not
    return {"seconds": seconds, "peak_mb": peak}


def prepare_nilearn(path: str) -> dict:
    """Do the same with nilearn's masker on the full-resolution image, then resample to the 4 mm grid."""
    import nibabel as nib
    from nilearn.image import resample_img
    from nilearn.maskers import NiftiMasker
    from nilearn.signal import clean
    from scipy import ndimage

    from scaae_nipype.grid import load_grid

    grid = load_grid()
    started = time.perf_counter()
    image = nib.load(path)
    # A voxel of the 4 mm grid draws on neighbours beyond the brain's edge: the mask is wider by one voxel of the grid.
    brain = resample_img(grid.image(grid.mask[grid.mask]), image.affine, image.shape[:3], interpolation="nearest")
    wide = ndimage.binary_dilation(brain.get_fdata() > 0, iterations=3)
    mask = nib.Nifti1Image(wide.astype("u1"), image.affine)
    repetition_time = float(image.header.get_zooms()[3])
    options = {"detrend": True, "standardize": None, "high_pass": HIGH_PASS, "t_r": repetition_time}
    masker = NiftiMasker(mask, smoothing_fwhm=6.0, dtype="float32", **options)
    cleaned = masker.inverse_transform(masker.fit_transform(image))
    resampled = resample_img(cleaned, grid.affine, grid.shape, interpolation="linear")
    data = grid.vectors(np.moveaxis(resampled.get_fdata(dtype=np.float32), -1, 0))
    # nilearn detrends unless told not to; after the masker that would be a second time.
    data = clean(data, detrend=False, standardize="zscore_sample")
    seconds = time.perf_counter() - started
    np.save(Path(path).with_suffix(".nilearn.npy"), data[:, ::37])
    return {"seconds": seconds}


def prepare_and_extract(path: str) -> dict:
    """Prepare a run and extract its networks, files in and files out, as the two nodes do it one after the other."""
    from scaae_nipype.grid import load_grid
    from scaae_nipype.model import save_model
    from scaae_nipype.model.extraction.extract_run import extract_run
    from scaae_nipype.options import Preparation, Training
    from scaae_nipype.preparation import prepare_run
    from scaae_nipype.preparation.prepared import write_prepared

    preparation = Preparation(strategy="published-code", high_pass=HIGH_PASS)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        grid = load_grid()
        run = prepare_run(path, grid=grid, preparation=preparation, scratch_dir=folder)
        files = write_prepared(run, folder)
        del run
        prepared = time.perf_counter() - started
        model = save_model(_model(Training.preset, "fp32"), Path(folder) / "model")
        extract_run(files.out_file, files.out_mask, files.out_samples, model, out_dir=folder)
        return {"seconds": time.perf_counter() - started, "seconds_to_prepare": prepared}


def evaluation(n_volumes: int = 176, n_templates: int = 10) -> dict:
    """Score both branches of a run against templates in every way; and time the steps with their files."""
    import nibabel as nib
    import pandas as pd
    from scipy.ndimage import gaussian_filter

    from scaae_nipype.evaluation import assign_states_of_run, change_gradually, load_templates, scale, score_run
    from scaae_nipype.evaluation.scores.scoring import every_score
    from scaae_nipype.files import write_table
    from scaae_nipype.grid import load_grid

    grid, random = load_grid(), np.random.default_rng(0)
    smooth = [grid.vectors(gaussian_filter(random.standard_normal(grid.shape), 2)) for _ in range(n_volumes)]
    volumes = np.stack(smooth).astype(np.float32)
    volumes = (volumes - volumes.mean(axis=0)) / volumes.std(axis=0)
    maps = {"fbn1": scale(volumes), "fbn2": scale(-volumes)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # 2 to 9 % of the brain each, mean 6 %, as the ten of Smith et al. (2009) are.
        peaked = np.sign(volumes[:n_templates]) * np.abs(volumes[:n_templates]) ** 1.5
        nib.save(grid.image(peaked, 1.0), folder / "templates.nii.gz")
        templates = load_templates(folder / "templates.nii.gz", grid=grid)
        seconds = {"scores": median_seconds(lambda: [every_score(own, templates) for own in maps.values()])}
        for key, own in {"run": volumes, **maps}.items():
            nib.save(grid.image(own, 2.0), folder / f"{key}.nii.gz")
        grid.save(folder / "mask.nii.gz")
        write_table(pd.DataFrame({"kept": np.ones(n_volumes, int)}), folder / "samples.tsv")
        run = {"in_file": folder / "run.nii.gz", "in_mask": folder / "mask.nii.gz"}
        run |= {"in_samples": folder / "samples.tsv", "fbn_maps": [folder / f"{key}.nii.gz" for key in maps]}
        against = {"templates": folder / "templates.nii.gz", "out_dir": folder}
        scores = score_run(**run, **against)[3]
        seconds["match_templates"] = median_seconds(lambda: score_run(**run, **against, num_threads=2), 5)
        seconds["states"] = median_seconds(lambda: assign_states_of_run(**run, **against, scores=scores), 3)
        seconds["gradual_change"] = median_seconds(lambda: change_gradually(**run, out_dir=folder), 3)
    return {"seconds": seconds}


def peak_mb() -> float:
    """Give the peak resident memory of this program, in MiB; ``ru_maxrss`` would count its parent's as well."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    name, *arguments = sys.argv[1:]
    result = globals()[name](*arguments)
    result.setdefault("peak_mb", peak_mb())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
