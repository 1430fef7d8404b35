"""The page on many participants shows what was measured, and nothing else."""

import json

import pytest

from tools.scale_page import DOCUMENT, RESULTS, figures, page


def test_the_page_shows_the_measured_values():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert page(text, figures(json.loads(RESULTS.read_text()))) == text, "run: python -m tools.scale_page"


def test_what_is_measured_twice_gives_a_fixed_part_and_one_in_proportion():
    call = {"files": 36, "report_mb": 2.0, "output_mb": 5.0, "work_mb": 10.0, "peak_mb": 600, "processor_seconds": 20.0}
    more = {**call, "output_mb": 15.0, "work_mb": 30.0, "peak_mb": 700, "processor_seconds": 60.0}
    fits = [{"volumes": n, "peak_mb": 600, "processor_seconds": s} for n, s in ((50, 10.0), (150, 20.0))]
    found = {
        "runs": {"train": fits, "50 volumes": call, "150 volumes": more},
        "plan": {
            "participants": 1000,
            "everybody": {"processor_seconds": 7.0, "peak_mb": 200},
            "one": {"processor_seconds": 1.0, "peak_mb": 100},
        },
        "group": [{"participants": n, "processor_seconds": n / 20, "peak_mb": n // 2} for n in (1000, 4000)],
        "machine": {"processor": "P", "units": ["u"], "threads": 1, "load_before": 0.0},
    }
    parts = figures(found)
    assert "(0.40 + 0.10) × 300 + 0 = 150 s of processor, 32 MB of output in 36 files" in parts["one participant"]
    assert "| processor in all | 38 h | 142 days |" in parts["studies"]
    assert "| group level | 45 s, 452 MB of memory | 42 min, 25 GB of memory |" in parts["studies"]
    assert (
        "| group level of 4,000 runs with every table and map, comparison and prediction | 200 s | 2000 MB |"
        in parts["measured"]
    )


def test_a_page_that_has_no_place_for_figures_is_refused():
    with pytest.raises(ValueError, match="has no place for studies"):
        page("# Many participants\n", {"studies": "| |"})
