"""Are spikes found, and the states that sit on them named?"""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation.spikes import find_spikes, states_on_spikes


def run_of(seed, n=150):
    """Draw noise that is correlated in time and over voxels (some dozens of independent patches)."""
    rng = np.random.default_rng(seed)
    courses = lfilter([0.8], [1, -0.6], rng.standard_normal((n, 60)), axis=0)
    return courses @ rng.standard_normal((60, 400))


def test_few_volumes_of_a_run_without_spikes_are_called_spikes():
    found = [len(find_spikes(run_of(seed), np.ones(150, bool)).volumes) for seed in range(40)]
    assert np.mean(found) < 1


def test_planted_spikes_are_found_by_their_number_in_the_run():
    kept = np.ones(150, bool)
    kept[[0, 1, 60]] = False
    run = run_of(1)
    run[[20, 61, 99]] *= 3
    found = find_spikes(run[kept], kept)
    assert set(found.volumes) >= {20, 61, 99} and len(found.volumes) <= 5
    assert np.isnan(found.strength[[0, 1, 60]]).all()
    np.testing.assert_allclose(find_spikes(5 * run[kept], kept).strength, found.strength)


def test_a_state_on_spikes_is_named():
    run = run_of(2)
    run[[20, 61, 99]] *= 4
    states = np.full(150, -1)
    states[[20, 61, 99, 100]] = 1
    states[30:60] = 0
    spikes = find_spikes(run, np.ones(150, bool))
    table = states_on_spikes(spikes, states, ["Visual", "Auditory", "Executive"]).set_index("state")
    assert list(table.index) == ["Visual", "Auditory"]
    assert table.loc["Auditory", "spikes"] == "20, 61, 99" and table.loc["Auditory", "share"] == 0.75
    assert table.loc["Auditory", "p"] < 0.001 and table.loc["Visual", "p"] == 1


def test_one_of_one_volumes_has_the_chance_of_a_spike():
    spikes = find_spikes(
        np.r_[np.random.default_rng(0).standard_normal((19, 300)), np.full((1, 300), 9.0)], np.ones(20)
    )
    states = np.where(np.arange(20) == 19, 0, -1)
    assert states_on_spikes(spikes, states, ["a"])["p"][0] == pytest.approx(binom.sf(0, 1, 1 / 20))


def test_a_run_without_differences_or_volumes_has_no_spikes():
    assert not len(find_spikes(np.ones((5, 3)), np.ones(5, bool)).volumes)
    empty = find_spikes(np.empty((0, 3)), np.zeros(5, bool))
    assert not len(empty.volumes) and np.isnan(empty.strength).all()
    assert states_on_spikes(empty, np.full(5, -1), ["a"]).empty
    with pytest.raises(InputError, match="2 volumes are given for 5 kept ones"):
        find_spikes(np.ones((2, 3)), np.ones(5, bool))
