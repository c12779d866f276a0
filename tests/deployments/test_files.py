"""The files for containers and systemd: their own tools find nothing wrong, and secrets have to be given."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deployments"
COMPOSE = FOLDER / "compose.yaml"


def tool(name: str) -> str:
    """The path of a program that pip installed as a test tool."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is missing; `make test` installs it"
    return found


def config(file: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    variables = {"PATH": os.environ["PATH"], "HOME": str(file.parent)} | environment
    command = [tool("docker-compose"), "-f", str(file), "config", "--format", "json"]
    return subprocess.run(command, capture_output=True, text=True, env=variables)


def test_hadolint_finds_nothing_in_the_dockerfile(tmp_path: Path) -> None:
    assert subprocess.run([tool("hadolint"), str(FOLDER / "Dockerfile")], capture_output=True, text=True).stdout == ""
    root = tmp_path / "Dockerfile"
    root.write_text((FOLDER / "Dockerfile").read_text().replace("USER 10001:10001", "USER root"))
    assert "DL3002" in subprocess.run([tool("hadolint"), str(root)], capture_output=True, text=True).stdout


def test_the_image_gets_every_package_and_nothing_else() -> None:
    copied = [line.split()[1] for line in (FOLDER / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    allowed = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"}
    packages = {path.parent.name for path in FOLDER.parent.glob("*/__init__.py")} - {"tests"}
    assert packages <= {*copied}
    assert {"data_lake", "deployments"} <= {*copied} <= allowed


def test_compose_takes_the_file_and_asks_for_the_key(tmp_path: Path) -> None:
    taken = config(COMPOSE, TEXTMILL_API_KEY="sk-secret")
    assert taken.returncode == 0, taken.stderr
    services = yaml.safe_load(taken.stdout)["services"]
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}
    without = config(COMPOSE)
    assert without.returncode != 0
    assert "set a key" in without.stderr
    misspelt = tmp_path / "compose.yaml"
    misspelt.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:"))
    assert config(misspelt, TEXTMILL_API_KEY="sk-secret").returncode != 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    def verify(text: str) -> "subprocess.CompletedProcess[str]":
        unit = tmp_path / "textmill.service"
        unit.write_text(text.replace("/opt/textmill/.venv/bin/textmill", sys.executable))
        return subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)

    text = (FOLDER / "textmill.service").read_text()
    assert "textmill.service" not in verify(text).stderr
    assert "Unknown key" in verify(text.replace("KillMode", "KilMode")).stderr
