"""Map a function over shards: in this process, or in long-lived worker processes that end when this one does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from model.cores import usable_cores

SHAPES_NO_RESULT = "spreads shards over processes; a shard comes out the same in each of them"

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_shards(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int
) -> Iterator[tuple[int, Result]]:
    """Yield (index of the item, `function(item)`) as items finish, in any order.

    function: importable by name, with picklable arguments and results. With one worker or one item, everything runs in
    this process. An exception in a worker is raised here, and shards that were not started are dropped.
    """
    count = min(workers, len(items))
    if count <= 1:
        for number, item in enumerate(items):
            yield number, function(item)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    # spawn: a fork of a process with threads (Prefect's, Arrow's) may hold a lock that is never released
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) as pool:
        futures = {pool.submit(function, item): number for number, item in enumerate(items)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"One of {count} worker processes was killed, most likely because memory ran out. "
                "Finished shards are kept; run again with fewer workers."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def workers_for(paths: Iterable[Path], workers: int) -> int:
    """Return how many processes to start for these files: `workers`, or a number based on their size if it is 0.

    That number is one per core, but at most one per 8 MB of files, because starting an interpreter costs as much.
    """
    if workers:
        return workers
    return max(1, min(usable_cores(), sum(path.stat().st_size for path in paths) // (8 << 20)))


def _end_with_parent() -> None:
    """End this worker when its parent is gone: after a kill -9 of a run, its workers would wait for work forever."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent: Any = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
