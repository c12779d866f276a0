"""System and GPU metrics: MLflow's own monitors, sampled into a run's journal."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

DEFAULT_INTERVAL_SECONDS = 2.0


class SystemMetrics:
    """Samples CPU, memory, disk, network and, if there are any, GPUs, until `stop`.

    MLflow's default interval of 10 s leaves short stages without a point, and its own sampling thread sends to the
    server directly and dies when the server does. So its monitors are used, but not its thread.
    """

    def __init__(self, report: Callable[[dict[str, float], int], None]) -> None:
        self._report = report
        self._stop = threading.Event()
        variable = os.environ.get("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL")
        self._interval = float(variable) if variable else DEFAULT_INTERVAL_SECONDS
        self._thread = threading.Thread(target=self._loop, name="textmill-system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and stop."""
        self._stop.set()
        self._thread.join(5)

    def _loop(self) -> None:
        monitors = _monitors()
        step = 0
        while True:
            last = self._stop.wait(self._interval)
            sample: dict[str, float] = {}
            for monitor in monitors:
                with contextlib.suppress(Exception):  # a sensor that fails loses only its own number
                    monitor.collect_metrics()
                    sample.update(monitor.aggregate_metrics())
                    monitor.clear_metrics()
            if sample:
                # a full disk, which the stage itself reports, or a run that ended before MLflow was imported
                with contextlib.suppress(OSError, ValueError):
                    self._report({f"system/{name}": float(value) for name, value in sample.items()}, step)
                step += 1
            if last:
                return


def _monitors() -> list[Any]:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)  # hide the message that there is no GPU
    with contextlib.suppress(Exception):
        monitors.append(GPUMonitor())
    return monitors
