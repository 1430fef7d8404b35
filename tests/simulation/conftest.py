"""A coarse head, made once, on which every test of the simulator is quick."""

import pytest

from scaae_nipype.simulation import PlantedNetworks, planted_networks, source_grid


@pytest.fixture(scope="session")
def head():
    """Give an 8 mm grid."""
    return source_grid(8)


@pytest.fixture(scope="session")
def networks(head) -> PlantedNetworks:
    """Give the planted networks on it."""
    return planted_networks(head)
