"""The runs that the engine is measured on are runs that the product takes."""

from benchmarks.engine import write_run
from benchmarks.measures import prepare


def test_a_run_of_the_benchmark_can_be_prepared(tmp_path):
    path = write_run(tmp_path / "run.nii.gz", 40)
    assert prepare(str(path))["seconds"] > 0
