"""Sharing volumes out to threads changes nothing but the time."""

import threading

import numpy as np
import pytest
import torch

from scaae_nipype.model import extract_networks
from scaae_nipype.model.extraction.threads import MOST_AT_ONCE, map_in_threads


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("number", "share"), [(1, 1), (2, 1), (5, 1), (9, 2), (MOST_AT_ONCE * 2, 2)])
def test_results_come_in_order_and_threads_are_shared_out(threads, number, share):
    threads(number)
    found = list(map_in_threads(lambda item: (item, torch.get_num_threads()), range(40)))
    assert found == [(item, share if number > 1 else 1) for item in range(40)]


def test_few_results_are_made_ahead(threads):
    threads(3)
    asked: list[int] = []
    results = map_in_threads(lambda item: item, (asked.append(item) or item for item in range(100)))
    assert next(results) == 0
    assert len(asked) <= 4
    results.close()


def test_threads_that_start_later_have_all_threads_again(threads):
    threads(4)
    found: list[int] = []
    list(map_in_threads(lambda item: item, range(8)))
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [4] == [torch.get_num_threads()]


def test_an_error_reaches_the_caller(threads):
    threads(2)

    def broken(item):
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        list(map_in_threads(broken, range(4)))
    assert torch.get_num_threads() == 2


def test_the_number_of_threads_does_not_matter(threads, tiny, vectors):
    networks = {}
    for number in (1, 2, 3):
        threads(number)
        networks[number] = extract_networks(tiny, vectors[:5])
    for number in (2, 3):
        np.testing.assert_allclose(networks[number].signed, networks[1].signed, atol=1e-5)
        np.testing.assert_allclose(networks[number].codes, networks[1].codes, atol=1e-5)
