"""Time and memory of the engine, side by side on one machine: ``make bench`` (about 25 minutes on 2 cores).

Prints a table for each part (``networks``, ``runs``, ``preparation``, ``evaluation``; all unless some are named) and
keeps it as JSON in ``benchmarks/results``, a file for each kind of processor. Ratios are of medians taken in one call.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

RESULTS = Path(__file__).parent / "results"


def measure(*arguments: str, **environment: str) -> dict:
    """Run one measurement in its own process."""
    print("  …", *(Path(a).name for a in arguments), file=sys.stderr, flush=True)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.measures", *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment})
    return json.loads(result.stdout.splitlines()[-1])


def write_run(path: Path, n_volumes: int) -> Path:
    """Write a 2 mm int16 run of 97 x 115 x 97 voxels, volume by volume: structured noise inside a head."""
    import gzip

    random = np.random.default_rng(0)
    shape = (97, 115, 97)
    affine = np.diag([-2.0, 2, 2, 1])
    affine[:3, 3] = 96, -132, -78
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((*shape, n_volumes))
    header.set_zooms((2, 2, 2, 2.0))
    header.set_xyzt_units("mm", "sec")
    header.set_sform(affine, 4)
    header.set_qform(affine, 4)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    axes = np.meshgrid(*(np.linspace(-1.15, 1.15, size) for size in shape), indexing="ij")
    head = sum(axis**2 for axis in axes) < 1
    base = head * (8000 + 3000 * np.sin(5 * axes[0]) * np.cos(4 * axes[1]))
    noise = [(head * random.normal(0, 150, shape)).astype(np.int16) for _ in range(16)]
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.binaryblock + b"\0" * 4)
        for volume in range(n_volumes):
            a, b = random.integers(0, 16, 2)
            # Rolled, noise must not reach outside the head: a run with values there has no background to tell it from.
            values = base + noise[a] + head * np.roll(noise[b], volume, axis=0)
            file.write(values.astype(np.int16).tobytes(order="F"))
    return path


def networks(rows: list[dict]) -> dict:
    """Measure extraction and training against the published layout."""
    measured = {"published forward": measure("published_forward")}
    base = measured["published forward"]["seconds_per_volume"]
    for preset, targets in (("contextual", {"bf16": 15, "fp32": 7}), ("published", {"bf16": 6, "fp32": 3})):
        for precision, target in targets.items():
            result = measured[f"{preset} {precision}"] = measure("extraction", preset, precision)
            ratio = base / result["seconds_per_volume"]
            what = f"FBN extraction, {preset} preset, {precision} ({result['seconds_per_volume']:.3f} s per volume)"
            rows.append(
                row(what, f"published forward ({base:.2f} s)", f"{ratio:.1f} x", f"{target} x", ratio >= target)
            )
            share = result["share_of_the_fastest_convolution"]
            what = (
                f"arithmetic rate of the attention path, {preset} preset, {precision} ({result['gflops']:.0f} GFLOP/s)"
            )
            against = f"one 5³ 32→32 convolution ({result['gflops_of_one_convolution']:.0f} GFLOP/s)"
            rows.append(row(what, against, f"{share:.0%}", "80 %", share >= 0.8))
    published, ours = measured["published step"], measured["training step"] = (
        measure("published_step"),
        measure("training_step", "bf16"),
    )
    ratio = published["seconds_per_volume"] / ours["seconds_per_volume"]
    what = f"training step, autoencoder preset, bf16 ({ours['seconds_per_volume']:.2f} s per volume)"
    rows.append(row(what, f"published ({published['seconds_per_volume']:.1f} s)", f"{ratio:.1f} x", "6 x", ratio >= 6))
    return measured


def row(what: str, against: str, found: str, wanted: str, reached: bool) -> dict:
    return {"what": what, "against": against, "found": found, "at least": wanted, "reached": bool(reached)}


def runs(rows: list[dict]) -> dict:
    """Measure one run of 148 volumes against decompositions."""
    measured = {name: measure("whole_run", name) for name in ("scaae", "canica", "dictlearning")}
    ours = measured["scaae"]["seconds"]
    for name, target, wanted in (("canica", 2.5, "2.5 x"), ("dictlearning", 1.0, "at par")):
        theirs = measured[name]["seconds"]
        what = f"one run of 148 volumes, default preset, fp32 ({ours:.1f} s)"
        found = f"{theirs / ours:.2f} x"
        rows.append(row(what, f"{name}, 20 components ({theirs:.1f} s)", found, wanted, theirs / ours >= target))
    return measured


def preparation(rows: list[dict]) -> dict:
    """Measure streaming preparation: against nilearn, over run lengths, and the memory of a long run."""
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {n: Path(folder) / f"run{n}.nii.gz" for n in (200, 300, 400, 800, 1000)}
        write_run(paths[300], 300)
        ours, theirs = measure("prepare", str(paths[300])), measure("prepare_nilearn", str(paths[300]))
        a, b = (np.load(paths[300].with_suffix(f".{who}.npy")) for who in ("ours", "nilearn"))
        moving = (a.std(axis=0) > 0) & (b.std(axis=0) > 0)
        r = float(min(np.corrcoef(x, y)[0, 1] for x, y in zip(a.T[moving], b.T[moving], strict=True)))
        measured |= {"prepare 300": ours, "nilearn 300": theirs, "lowest r of a voxel": r}
        time_ratio, memory_ratio = theirs["seconds"] / ours["seconds"], ours["peak_mb"] / theirs["peak_mb"]
        what = f"preparing a 2 mm run of 300 volumes ({ours['seconds']:.1f} s, {ours['peak_mb']:.0f} MB)"
        against = f"nilearn's masker ({theirs['seconds']:.1f} s, {theirs['peak_mb']:.0f} MB)"
        rows.append(row(what, against, f"{time_ratio:.1f} x", "3 x", time_ratio >= 3))
        rows.append(row("peak memory of the same", against, f"{memory_ratio:.2f}", "0.20 (most)", memory_ratio <= 0.2))
        rows.append(row("r of the same, the lowest of all voxels looked at", against, f"{r:.5f}", "0.999", r >= 0.999))
        paths[300].unlink()
        lengths = {}
        for n in (200, 400, 800):
            path = str(write_run(paths[n], n))
            # A ratio of differences makes much of a moment in which others used the machine.
            lengths[n] = sorted((measure("prepare", path) for _ in range(3)), key=lambda found: found["seconds"])[1]
            measured[f"prepare {n}"] = lengths[n]
            paths[n].unlink()
        slopes = [(lengths[b]["seconds"] - lengths[a]["seconds"]) / (b - a) for a, b in ((200, 400), (400, 800))]
        growth = slopes[1] / slopes[0]
        found = ", ".join(f"{n}: {m['seconds']:.1f} s, {m['peak_mb']:.0f} MB" for n, m in lengths.items())
        rows.append(
            row(
                f"time per further volume ({found})",
                "400-800 / 200-400",
                f"{growth:.2f}",
                "0.9-1.1",
                0.9 <= growth <= 1.1,
            )
        )
        memory = lengths[800]["peak_mb"] / lengths[200]["peak_mb"]
        rows.append(row("peak memory, 800 / 200 volumes", "-", f"{memory:.3f}", "1.05 (most)", memory < 1.05))
        long = measured["prepare and extract 1000"] = measure("prepare_and_extract", str(write_run(paths[1000], 1000)))
        what = f"peak memory, preparing and extracting 97 x 115 x 97 x 1000 int16 ({long['seconds']:.0f} s)"
        rows.append(row(what, "-", f"{long['peak_mb'] / 1024:.2f} GB", "1.5 GB (most)", long["peak_mb"] <= 1536))
    return measured


def machine() -> dict:
    """Say what the figures were measured on, and whether others were using it."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    units = ("avx512_f", "avx512_bf16", "amx_bf16", "arm_bf16")
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "units": [name for name in units if torch.cpu.get_capabilities().get(name)],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_before": os.getloadavg()[0],
    }


def evaluation(rows: list[dict]) -> dict:
    """Measure the scores of a run; all steps read their images anew, which is part of their time."""
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # as scaae-bids starts its nodes
    measured = {"evaluation": measure("evaluation", **alone)}
    seconds = measured["evaluation"]["seconds"]
    what = "scores of 2 x 176 FBNs with ten templates, 1 thread"
    rows.append(row(what, "–", f"{seconds['scores']:.2f} s", "1 s (most)", seconds["scores"] < 1))
    for name, what in (
        ("match_templates", "its step: also the volume in both signs, threshold curves, reading, writing; 2 threads"),
        ("states", "step: states and their maps"),
        ("gradual_change", "step: lag curves"),
    ):
        rows.append(row(what, "–", f"{seconds[name]:.2f} s", "1 s (most)", seconds[name] < 1))
    return measured


def main() -> None:
    parts = {"networks": networks, "runs": runs, "preparation": preparation, "evaluation": evaluation}
    chosen = sys.argv[1:] or list(parts)
    if unknown := set(chosen) - set(parts):
        sys.exit(f"No part of the benchmark is called {', '.join(unknown)}; choose of {', '.join(parts)}.")
    here = machine()
    busy = "; OTHERS ARE USING IT: only ratios taken at one moment can be trusted" if here["load_before"] > 0.5 else ""
    print(f"{here['processor']}, {here['threads']} threads, {' '.join(here['units'])}{busy}", file=sys.stderr)
    for name in chosen:  # kept part by part: a broken one does not cost the others
        rows: list[dict] = []
        measured = parts[name](rows)
        result = {"machine": here | {"load_after": os.getloadavg()[0]}, "rows": rows, "measured": measured}
        RESULTS.mkdir(exist_ok=True)
        kind = (here["units"] or ["generic"])[-1]
        (RESULTS / f"{name}.{kind}.json").write_text(json.dumps(result, indent=2) + "\n")
        print("\n| what | against | found | at least | |\n| --- | --- | --- | --- | --- |")
        for r in rows:
            verdict = "" if r["reached"] else "missed"
            print(f"| {r['what'].strip()} | {r['against']} | {r['found']} | {r['at least']} | {verdict} |", flush=True)


if __name__ == "__main__":
    main()
