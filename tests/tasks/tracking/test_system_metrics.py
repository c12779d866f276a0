"""System metrics in a run's journal: with a GPU its numbers too, and a broken sensor costs only its own."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pynvml
import pytest

from tasks.tracking.system_metrics import SystemMetrics
from tests.live_up import eventually

Samples = list[dict[str, float]]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A driver with one GPU, answering as NVML does; its numbers can be changed."""
    state = SimpleNamespace(used=40e9, power=350_000, broken=False)

    def power_usage(handle: object) -> int:
        if state.broken:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return state.power

    answers = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda i: i,
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=state.used, total=80e9),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=93),
        "nvmlDeviceGetPowerUsage": power_usage,
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    return state


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> Iterator[Samples]:
    """What a run samples twenty times a second."""
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    found: Samples = []
    system = SystemMetrics(lambda sample, step: found.append(sample))
    yield found
    system.stop()
    count = len(found)
    time.sleep(0.2)
    assert len(found) == count, "sampling goes on after it was stopped"


def test_a_run_that_ends_before_its_first_sample_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[object] = []
    monkeypatch.setattr("threading.excepthook", faults.append)

    def closed(sample: dict[str, float], step: int) -> None:
        raise ValueError("I/O operation on closed file.")

    SystemMetrics(closed).stop()
    assert faults == []


def test_a_gpu_is_sampled_with_the_machine(driver: SimpleNamespace, samples: Samples) -> None:
    eventually(lambda: len(samples) >= 2, 60, "two samples were taken")
    assert samples[0]["system/gpu_0_memory_usage_percentage"] == 50.0
    assert samples[0]["system/gpu_0_utilization_percentage"] == 93
    assert samples[0]["system/gpu_0_power_usage_watts"] == 350.0
    assert samples[0]["system/system_memory_usage_percentage"] > 0
    driver.used = 60e9
    eventually(lambda: samples[-1]["system/gpu_0_memory_usage_percentage"] == 75.0, 30, "the sample follows the GPU")


def test_a_sensor_that_fails_costs_its_own_number(driver: SimpleNamespace, samples: Samples) -> None:
    driver.broken = True
    eventually(lambda: samples and "system/gpu_0_power_usage_watts" not in samples[-1], 60, "power is not sampled")
    assert samples[-1]["system/gpu_0_utilization_percentage"] == 93


def test_a_full_disk_does_not_end_the_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    asked: list[int] = []

    def report(sample: dict[str, float], step: int) -> None:
        asked.append(step)
        raise OSError(errno.ENOSPC, "No space left on device")

    system = SystemMetrics(report)
    eventually(lambda: len(asked) >= 2, 60, "it goes on after the first error")
    system.stop()


def test_without_a_gpu_no_gpu_is_reported(monkeypatch: pytest.MonkeyPatch, samples: Samples) -> None:
    eventually(lambda: len(samples) >= 2, 60, "two samples were taken")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert not [name for name in samples[-1] if "gpu" in name]
    else:
        assert [name for name in samples[-1] if "gpu" in name]
