"""Politeness: delays, parking, backoff, and the breaker of failing hosts, on a clock that the test moves."""

from __future__ import annotations

import time

import pytest

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.politeness import MAX_BACKOFF, MAX_RETRY_AFTER, Hosts


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def hosts(**settings) -> Hosts:
    return Hosts(CrawlConfig(**settings))


def test_the_host_that_waited_longest_comes_first(clock):
    found = hosts()
    found.wake("b", 990)
    found.wake("a", 995)
    found.wake("c", 1005)
    assert [found.next_due(clock.now)[0].name for _ in range(2)] == ["b", "a"]
    assert found.next_due(clock.now) == (None, 5)
    found.wake("c", 1003)
    clock.now = 1010
    assert found.next_due(clock.now)[0].name == "c"
    assert found.next_due(clock.now) == (None, None)


def test_a_host_is_asked_once_per_delay(clock):
    found = hosts(delay=2.0, per_host=4)
    host = found["h"]
    assert found.may_start(host, clock.now)
    found.started(host, clock.now)
    assert not found.may_start(host, clock.now)
    found.learned_delay(host, 0.5)
    clock.now += 1.9
    assert not found.may_start(host, clock.now)
    clock.now += 0.2
    assert found.may_start(host, clock.now)


def test_crawl_delay_wins_up_to_a_limit_and_the_longest_of_several_counts(clock):
    found = hosts(delay=1.0, max_crawl_delay=30)
    for said, used in ((5, 5), (2, 5), (3600, 30)):
        found.learned_delay(found["h"], said)
        assert found["h"].delay == used


def test_one_request_at_a_time_until_robots_are_known_and_while_it_fails(clock):
    found = hosts(delay=0.0, per_host=3, failing_after=100)
    host = found["h"]
    found.started(host, clock.now)
    assert not found.may_start(host, clock.now)
    found.learned_delay(host, 0)
    assert found.may_start(host, clock.now)
    found.failed(host, None, 0.1, alive=False)
    assert not found.may_start(host, clock.now)
    found.answered(host)
    assert found.may_start(host, clock.now)


def test_a_failing_host_rests_longer_each_time_and_is_given_up(clock):
    found = hosts(delay=0.0, failing_after=3, failing_rest=60, failing_rests=2)
    host = found["h"]
    found.learned_delay(host, 0)
    for _ in range(3):
        found.failed(host, None, 1, alive=False)
    assert (host.next_start - clock.now, host.gone) == (60, None)
    clock.now += 61
    found.failed(host, None, 1, alive=False)  # one request found out that it still fails
    assert (host.next_start - clock.now, host.gone) == (120, None)
    clock.now += 121
    found.failed(host, None, 1, alive=False)
    assert host.gone == "host_failing"
    assert found.may_start(host, clock.now)  # its URLs are brought to their end without a request


def test_an_answer_heals(clock):
    found = hosts(failing_after=3)
    for _ in range(10):
        found.failed(found["h"], None, 1, alive=False)
        found.failed(found["h"], None, 1, alive=False)
        found.answered(found["h"])
    assert found["h"].gone is None
    assert found["h"].next_start <= clock.now


def test_retry_after_holds_the_whole_host_and_is_no_failure(clock):
    found = hosts()
    found.failed(found["h"], 7.0, 1, alive=True)
    assert found["h"].next_start == clock.now + 7
    assert found["h"].failures == 0
    found.failed(found["h"], 10**9, 1, alive=True)
    assert found["h"].next_start == clock.now + MAX_RETRY_AFTER
    found.failed(found["g"], None, 3, alive=True)
    assert found["g"].next_start == clock.now + 3


def test_backoff_doubles_with_jitter_up_to_a_limit():
    found = hosts(backoff=1.0)
    for tries in range(12):
        for _ in range(20):
            pause = found.backoff(tries)
            assert 0.5 * min(MAX_BACKOFF, 2**tries) <= pause <= 1.5 * min(MAX_BACKOFF, 2**tries)
    assert len({found.backoff(1) for _ in range(9)}) > 1
    assert found.backoff(0, 90.0) >= 90


def test_parked_hosts_wait_for_a_depth(clock):
    found = hosts()
    found.park("a")
    assert found.next_due(clock.now) == (None, None)
    found.unpark()
    assert found.next_due(clock.now)[0].name == "a"
