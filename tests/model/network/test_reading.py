"""Equations 7 and 8, and the sign of a branch."""

import numpy as np
import torch

from scaae_nipype.model.network.reading import branch_signs, combine


def test_networks_are_channel_weighted_sums_of_each_branch():
    logits, weights = torch.randn(3, 6, 4, 5, 2), torch.rand(3, 6)
    maps = combine(logits, weights)
    for branch in range(2):
        channels = slice(3 * branch, 3 * branch + 3)
        by_hand = sum(weights[:, c, None, None, None] * logits[:, c] for c in range(channels.start, channels.stop))
        torch.testing.assert_close(maps[:, branch], by_hand)


def test_sign_is_that_of_the_mean_correlation_and_the_agreement_is_counted():
    random = np.random.default_rng(0)
    volumes = random.standard_normal((10, 500))
    maps = np.stack([volumes + 0.1 * random.standard_normal(volumes.shape), -2 * volumes], axis=1)
    maps[:2, 1] *= -1
    signs, agreement = branch_signs(maps, volumes)
    assert signs.tolist() == [1, -1]
    np.testing.assert_allclose(agreement, [1.0, 0.8])


def test_a_constant_map_counts_as_no_agreement():
    signs, agreement = branch_signs(np.ones((4, 2, 30)), np.random.default_rng(0).standard_normal((4, 30)))
    assert signs.tolist() == [1, 1]
    assert agreement.tolist() == [0, 0]
