"""Two folders of outputs are the same but for times, measured seconds and the folder; anything else is named."""

import gzip

import pytest

from benchmarks.same_outputs import compare, main


def write(folder, *, seconds="1.5", score="0.25", values=b"values", more=()):
    func = folder / "tiny" / "sub-01" / "func"
    func.mkdir(parents=True)
    (func / "sub-01_desc-fbn1_boldmap.json").write_text(
        f'{{"GeneratedAt": "2026-01-0{len(seconds)}T10:00:00Z", "SecondsPerVolume": {seconds}, "From": "{folder}/x"}}'
    )
    (func / "sub-01_desc-overlap_metrics.tsv").write_text(f"template\tscore\nvisual\t{score}\n")
    with gzip.GzipFile(func / "sub-01_desc-fbn1_boldmap.nii.gz", "wb", mtime=len(seconds)) as file:
        file.write(values)
    (folder / "tiny" / "logs").mkdir()
    (folder / "tiny" / "logs" / "record.json").write_text(seconds)
    for name in more:
        (func / name).touch()
    return folder


def test_times_folders_and_logs_make_no_difference(tmp_path):
    assert compare(write(tmp_path / "before"), write(tmp_path / "after", seconds="12.25")) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"score": "0.26"}, "differs: tiny/sub-01/func/sub-01_desc-overlap_metrics.tsv"),
        ({"values": b"others"}, "differs: tiny/sub-01/func/sub-01_desc-fbn1_boldmap.nii.gz"),
        ({"more": ["new.tsv"]}, "only after: tiny/sub-01/func/new.tsv"),
    ],
)
def test_whatever_else_differs_is_named(tmp_path, change, name):
    assert compare(write(tmp_path / "before"), write(tmp_path / "after", **change)) == [name]
    assert main(["compare", str(tmp_path / "before"), str(tmp_path / "after")]) == 1
