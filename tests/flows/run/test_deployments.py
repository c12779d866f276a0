"""Deployments: schedules really fire, missed runs do not stampede, a pause by the user is kept."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.live_up import Up, eventually


def test_a_scheduled_run_really_fires(up: Up) -> None:
    # The break that this is for: a scheduler that fails in the log only, while the schedule is shown as active.
    done = eventually(
        lambda: [run for run in up.runs("ticking/nightly") if run["state_name"] == "Completed"], 60, "a run by schedule"
    )
    assert done[0]["auto_scheduled"]


def test_a_run_that_is_asked_for_comes_soon(up: Up) -> None:
    flow_run_id = up.trigger("waiting/rerun", seconds=0)
    run = eventually(lambda: (now := up.run(flow_run_id))["state_name"] == "Completed" and now, 60, "it is done")
    begun = datetime.fromisoformat(run["start_time"]) - datetime.fromisoformat(run["created"])
    assert begun < timedelta(seconds=30)


def test_there_is_one_slot_for_the_gpu(up: Up) -> None:
    limit = eventually(
        lambda: (answer := up.api.get("concurrency_limits/tag/gpu")).status_code == 200 and answer.json(), 20, "a limit"
    )
    assert limit["concurrency_limit"] == 1


def test_pages_and_api_are_on_this_machine_only(up: Up) -> None:
    for process in up.processes():
        for connection in process.net_connections("tcp"):
            if connection.status == "LISTEN":
                assert connection.laddr.ip in ("127.0.0.1", "::1"), process.cmdline()
    assert re.search(r"Prefect +http://127\.0\.0\.1:\d+\nMLflow +http://127\.0\.0\.1:\d+(/\S*)?\n", up.output())


def test_missed_runs_are_skipped_but_the_newest(up: Up) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.servers.reconcile import skip_missed_runs

    # A deployment that no runner serves: its runs come due and nobody takes them, as in a downtime.
    body = {
        "name": "missed",
        "flow_id": up.deployment("ticking/nightly")["flow_id"],
        "schedules": [{"schedule": {"interval": 2}, "active": True, "slug": "recipe"}],
    }
    deployment_id = up.api.post("deployments/", json=body).raise_for_status().json()["id"]

    def due() -> list[str]:
        now = datetime.now(UTC).isoformat()
        runs = [run for run in up.runs("ticking/missed") if run["expected_start_time"] < now]
        return [run["state_name"] for run in runs]

    eventually(lambda: len(due()) >= 4, 60, "four runs are due")
    server = temporary_settings({PREFECT_API_URL: str(up.api.base_url).rstrip("/")})
    try:
        with server, get_client(sync_client=True) as client:
            assert skip_missed_runs(client, [UUID(deployment_id)], timedelta(minutes=5)) == 0, "not late enough"
            assert skip_missed_runs(client, [UUID(deployment_id)], timedelta(0)) >= 3
        states = due()
        assert states[:3] == ["Skipped"] * 3
        assert states[states.count("Skipped")] in ("Scheduled", "Late")
    finally:
        up.api.delete(f"deployments/{deployment_id}").raise_for_status()
