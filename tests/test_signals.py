"""Work stops in order when it is told to from outside, and gives the signals back."""

import os
import signal
import threading

import pytest

from scaae_nipype.errors import Interrupted
from scaae_nipype.signals import STOP_SIGNALS, blocked_signals, handle_stop_signals, listen, unblock_signals


@pytest.fixture(autouse=True)
def _as_before():
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_listeners_hear_until_they_stop(number):
    heard, later = [], []
    stop_outer = listen(later.append)
    stop_listening = listen(heard.append)
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)
    stop_listening()
    os.kill(os.getpid(), number)
    stop_outer()
    assert heard == [number, number]
    assert later == [number]


def test_under_nohup_a_terminal_that_goes_is_not_heard():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heard = []
    stop_listening = listen(heard.append)
    handle_stop_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    stop_listening()
    assert heard == []
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_terminal_that_goes_interrupts():
    handle_stop_signals()
    with pytest.raises(Interrupted, match="interrupted by SIGHUP; the same command goes on"):
        os.kill(os.getpid(), signal.SIGHUP)


def test_a_worker_leaves_it_to_the_main_process_but_a_training_in_it_hears():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    heard = []
    unblock_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    stop_listening = listen(heard.append)
    os.kill(os.getpid(), signal.SIGHUP)
    stop_listening()
    assert heard == [signal.SIGHUP]


def test_other_threads_than_the_main_one_change_nothing():
    before = signal.getsignal(signal.SIGTERM)
    there = []
    thread = threading.Thread(target=lambda: there.append(listen(print)))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    there[0]()


def test_the_first_signal_interrupts_and_the_next_ones_do_not_disturb():
    handle_stop_signals()
    with pytest.raises(Interrupted, match="interrupted by SIGUSR1; the same command goes on"):
        os.kill(os.getpid(), signal.SIGUSR1)
    for number in STOP_SIGNALS:
        os.kill(os.getpid(), number)


def test_who_was_deaf_hears_afterwards_what_came_meanwhile():
    heard = []
    stop_listening = listen(heard.append)
    with blocked_signals():
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)  # other threads are not deaf
        assert heard == []
    stop_listening()
    assert heard == [signal.SIGUSR1]
