"""What was planted in a simulated run stands beside what was found in it."""

import matplotlib.text
import pytest

from scaae_nipype.derivatives.names import output_path
from scaae_nipype.derivatives.reading import find_runs
from scaae_nipype.errors import InputError
from scaae_nipype.files import write_json
from scaae_nipype.report import participant_report
from scaae_nipype.report.sections.planted import planted_mosaic, planted_sentences, planted_table


@pytest.fixture
def run(make_dataset):
    """A run of a small dataset, which is simulated."""
    return find_runs(make_dataset(), "01")[0]


def test_the_best_of_network_and_rivals_are_named(run):
    said = " ".join(planted_sentences(run))
    assert "simulated" in said
    assert "Correlation, mean over volumes: FBN 1 0.60; group PCA 0.55 and smoothed 8 mm 0.40." in said
    assert "Average precision, mean over volumes: FBN 1 0.30; group PCA 0.28 and smoothed 8 mm 0.20." in said


def test_the_table_has_every_method_and_marks_the_best(run):
    table = planted_table(run)
    rows = {row[0].text: row[1:] for row in table.rows}
    assert [*rows] == ["FBN 1", "FBN 2", "volume", "smoothed 8 mm", "group PCA"]
    assert [cell.text for cell in rows["FBN 1"]] == ["0.30", "0.20", "0.60", "50"]
    assert rows["FBN 1"][2].strong and not rows["group PCA"][2].strong


def test_every_example_is_drawn_for_every_method(run):
    figure = planted_mosaic(run)
    words = {text.get_text() for text in figure.findobj(matplotlib.text.Text)}
    assert {"volume 3 · visual", "volume 17 · default", "planted", "FBN 1", "group PCA", "smoothed 8 mm"} <= words
    assert sum(bool(axes.images) for axes in figure.axes) >= 10


def test_examples_that_are_not_what_the_sidecar_says_are_refused(run):
    write_json({"ExampleVolumes": [3], "ExampleNetworks": ["visual"], "ExampleMethods": ["planted"]},
               run.root / output_path(run.entities, "planted_maps", ".json"))  # fmt: skip
    with pytest.raises(InputError, match=r"plantedmaps_boldmap\.nii\.gz: does not hold what its sidecar says"):
        planted_mosaic(find_runs(run.root, "01")[0])


def test_the_page_shows_it_where_the_run_is_simulated_only(run, undrawn):
    assert "Planted and found" in participant_report(run.root, "01").read_text()
    for name in ("planted", "planted_maps"):
        (run.root / output_path(run.entities, name)).unlink()
    assert "Planted and found" not in participant_report(run.root, "01").read_text()
