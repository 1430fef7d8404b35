"""Comparisons of groups by their scores with templates: what lies above chance counts, where that is known."""

import numpy as np
import pytest
from runs_by_hand import write_participants, write_run

from scaae_nipype.derivatives.names import group_path
from scaae_nipype.files import read_table, write_table


@pytest.mark.parametrize("measured", [True, False])
def test_smoother_maps_of_one_group_are_no_difference_where_chance_is_known(folders, group, measured):
    for number in range(20):
        smoothness = 0.2 * (number % 2) + 0.01 * np.random.default_rng(number).standard_normal()
        write_run(folders[1], f"{number:02d}", seed=number, iou=0.3 + smoothness)
        path = next(folders[1].glob(f"sub-{number:02d}/**/*desc-overlap_metrics.tsv"))
        scores = read_table(path)
        of_chance = scores.columns.str.startswith(("chance", "above"))
        for name in scores.columns[scores.columns.str.startswith("above")]:
            scores[name] = 0.1 + 0.01 * np.random.default_rng(number).standard_normal()  # raw less the same smoothness
        write_table(scores if measured else scores.loc[:, ~of_chance], path)
    write_participants(folders[1], [(f"sub-{n:02d}", "A", "ab"[n % 2], str(n)) for n in range(20)])
    assert group("--group-by", "dx")[0] == 0
    tests = read_table(folders[1] / group_path("comparisons")).set_index(["family", "outcome"])["p_corrected"]
    html = (folders[1] / "group.html").read_text()
    if measured:
        assert tests["best of 20, average_precision, above chance"].min() > 0.05
        assert not any("raw" in family for family, _ in tests.index)
        assert "were compared by what they have above chance" in html
    else:
        assert tests["best of 20, average_precision, raw", "fbn1: Visual"] <= 0.05
        assert "were compared raw, because chance was not measured" in html
