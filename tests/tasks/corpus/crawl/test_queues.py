"""The queues against a plain model: whatever is added, taken, postponed, finished and killed, nothing gets lost."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl import queues
from tasks.corpus.crawl.frontier import Frontier, Link

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 40), st.sampled_from("ab"), st.integers(0, 3)),
        st.tuples(st.just("take"), st.sampled_from("ab")),
        st.tuples(st.just("finish"), st.integers(0, 9)),
        st.tuples(st.just("postpone"), st.integers(0, 9)),
        st.tuples(st.just("kill")),
    ),
    max_size=80,
)


@settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, breadth_first=st.booleans())
def test_every_url_is_taken_once_and_in_order(tmp_path_factory, monkeypatch, steps, breadth_first):
    monkeypatch.setattr(queues, "CHUNK", 3)  # so that most of a queue is on disk
    monkeypatch.setattr(queues, "_RECENT", 8)
    folder = tmp_path_factory.mktemp("queue")
    (folder / "warc").mkdir()

    def opened() -> Frontier:
        return Frontier(folder / "f.sqlite", folder / "warc", breadth_first=breadth_first)

    frontier, now = opened(), 1000.0
    known: dict[str, int] = {}  # URL → depth, as the model has it
    done: set[str] = set()
    under_way = []
    for step, *values in steps:
        now += 1
        if step == "add":
            number, host, depth = values
            link = Link(f"http://{host}/{number}", host, depth)
            new = frontier.add([link])
            assert bool(new) == (link.url not in known)
            if link.url not in done and link.url not in {task.url for task in under_way}:
                known[link.url] = min(depth, known.get(link.url, depth))
            known.setdefault(link.url, depth)
        elif step == "take":
            task, later = frontier.take(values[0], now)
            if task is not None:
                assert task.url not in done
                assert task.url not in {other.url for other in under_way}
                assert later is None
                waiting = [depth for url, depth in known.items() if url not in done]
                if breadth_first:
                    assert task.depth == min(waiting)
                under_way.append(task)
        elif step == "finish" and under_way:
            task = under_way.pop(values[0] % len(under_way))
            frontier.finish(task, {"reason": "fetched"})
            done.add(task.url)
        elif step == "postpone" and under_way:
            frontier.postpone(under_way.pop(values[0] % len(under_way)), now + 3)
        elif step == "kill":
            frontier.close()
            frontier, under_way = opened(), []
    for task in under_way:
        frontier.postpone(task, now)
    left = []
    for _ in range(200):
        now += 10
        for host in "ab":
            task, _ = frontier.take(host, now)
            if task is not None:
                left.append(task.url)
                frontier.finish(task, {"reason": "fetched"})
    assert sorted(left) == sorted(set(known) - done)
    assert frontier.floor is None
    assert frontier.hosts() == []
    frontier.close()


def test_a_long_queue_stays_on_disk(frontier):
    frontier.add(Link(f"http://h/{number}", "h", 1) for number in range(20_000))
    assert len(frontier._queues._queues["h"].heap) <= 8 * queues.CHUNK + 1
    taken = [frontier.take("h", 0.0)[0] for _ in range(20_000)]
    assert len({task.url for task in taken}) == 20_000
    assert frontier.take("h", 0.0) == (None, None)


def test_a_limit_lets_the_first_through_whatever_their_host(frontier):
    links = [Link(f"http://{host}/{number}", host, 1) for host in "abc" for number in range(50)]
    frontier.add(links)
    frontier.limit(10)
    taken = [task for host in "cab" for _ in range(50) if (task := frontier.take(host, 0.0)[0]) is not None]
    first = sorted(taken, key=lambda task: task.rank)
    assert len(taken) == 10
    frontier.finish(first[0], {"reason": "http_404"})
    host = frontier.extend()
    eleventh, _ = frontier.take(host, 0.0)
    assert eleventh.rank > first[-1].rank
    assert all(frontier.take(name, 0.0) == (None, None) for name in "abc")


def test_a_limit_holds_for_the_depth_it_was_set_for(frontier):
    frontier.add([Link(f"http://h/{number}", "h", 0) for number in range(3)])
    frontier.limit(2)
    for _ in range(2):
        task, _ = frontier.take("h", 0.0)
        frontier.finish(task, {"reason": "http_404"}, [Link(f"{task.url}/below", "h", 1)])
        frontier.extend()
    third, _ = frontier.take("h", 0.0)
    frontier.finish(third, {"reason": "fetched"})
    assert frontier.extend() is None
    assert frontier.take("h", 0.0)[0].depth == 1
