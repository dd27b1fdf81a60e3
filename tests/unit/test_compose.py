"""What can be told of compose and images without a Docker engine: versions, mounts, variables, ports."""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from docker.local.settings import PROJECT

COMPOSE = PROJECT / "docker-compose.yml"
TEXT = COMPOSE.read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
VOLUMES: dict[str, Any] = yaml.safe_load(TEXT)["volumes"]
DOCKERFILES = sorted((PROJECT / "docker").glob("*/Dockerfile"))
POM = "{http://maven.apache.org/POM/4.0.0}"
IMAGES = {
    "apache/kafka": "kafka.version",
    "cassandra": "cassandra.version",
    "apicurio/apicurio-registry": "registry.version",
}
DOCUMENTED_PORTS = {
    "api": ["API_PORT:8000"],
    "jobmanager": ["FLINK_UI_PORT:8081", "FLINK_METRICS_PORT:9249"],
    "taskmanager": ["TASKMANAGER_METRICS_PORT:9250"],
    "registry": ["REGISTRY_PORT:8082"],
    "kafka": ["KAFKA_PORT:9092"],
    "cassandra": ["CASSANDRA_PORT:9042"],
    "producer": ["PRODUCER_METRICS_PORT:9100"],
}


def versions() -> dict[str, str]:
    """The versions that docker/pom.xml names."""
    properties = ElementTree.parse(PROJECT / "docker/pom.xml").getroot().find(f"{POM}properties")  # noqa: S314
    assert properties is not None
    return {entry.tag.removeprefix(POM): entry.text or "" for entry in properties}


def instructions(dockerfile: Path) -> list[str]:
    """Its instructions, each on one line."""
    text = re.sub(r"\\\n", " ", dockerfile.read_text(encoding="utf-8"))
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def copies() -> Iterator[tuple[Path, str]]:
    """(Dockerfile, source) of everything that is copied from the project."""
    for dockerfile in DOCKERFILES:
        for line in instructions(dockerfile):
            words = line.split()
            if words[0] == "COPY" and not words[1].startswith("--from"):
                for source in words[1:-1]:
                    yield dockerfile, source


def test_every_image_is_of_the_poms_version() -> None:
    """The servers in containers are those of the local system."""
    used = {
        name: tag
        for service in SERVICES.values()
        if "build" not in service
        for name, tag in [service["image"].split(":")]
    }
    assert used == {name: versions()[version] for name, version in IMAGES.items()}


def test_flink_is_of_the_poms_version() -> None:
    """It comes as a Python package, pinned twice."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = f"apache-flink=={versions()['flink.version']}"
    assert wanted in project["optional-dependencies"]["jobs"]
    assert wanted in (PROJECT / "docker/constraints.txt").read_text(encoding="utf-8").splitlines()


def test_constraints_pin_every_direct_dependency() -> None:
    """By name and version only."""
    lines = (PROJECT / "docker/constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!+]*", pin)] == []
    pinned = {_normal(pin.split("==")[0]) for pin in pins}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    direct = {_normal(re.split(r"[\[=<>]", name)[0]) for name in [*project["dependencies"], *extras]}
    assert direct - pinned == set()


def test_every_mount_is_there() -> None:
    """A file of the project, or a volume that is declared; and every volume is used."""
    used = set()
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (PROJECT / source).exists(), f"{name} mounts {source}"
            else:
                used.add(source)
        for file in service.get("env_file", []):
            if isinstance(file, str) or file["required"]:
                assert (PROJECT / file).is_file(), f"{name} reads {file}"
    assert used == VOLUMES.keys()


def test_every_variable_is_a_setting_with_its_default() -> None:
    """${NAME:-default}, as .env.example has it."""
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    documented = dict(
        line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#")
    )
    used = re.findall(r"\$\{(\w+)(?::-([^}]*))?\}", TEXT)
    assert used
    for name, default in used:
        assert documented[name] == default, name


def test_what_the_containers_are_told_are_settings() -> None:
    """A misspelt name would silently be ignored."""
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    documented = {line.split("=")[0] for line in example.splitlines() if line and not line.startswith("#")}
    for name in ("init", "jobs", "taskmanager", "producer", "api"):
        assert SERVICES[name]["environment"].keys() - documented == set(), name


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_the_documented_ones_on_loopback(name: str) -> None:
    """As design and README name them, each changeable, none open to the network."""
    ports = [
        re.fullmatch(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}:\d+", port) for port in SERVICES[name].get("ports", [])
    ]
    assert [f"{port[1]}:{port[2]}" for port in ports if port] == DOCUMENTED_PORTS.get(name, [])
    assert all(ports)


def test_everything_that_is_waited_for_can_be() -> None:
    """service_healthy needs a health check; service_completed_successfully a command that ends."""
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], f"{name} waits for {needed}"
            else:
                assert (needed, how["condition"]) == ("init", "service_completed_successfully")


def test_everything_that_is_copied_is_there() -> None:
    """From the project's root, which is the build context."""
    sources = list(copies())
    assert len({dockerfile for dockerfile, _ in sources}) == len(DOCKERFILES) == 2
    for dockerfile, source in sources:
        assert (PROJECT / source).exists(), f"{dockerfile} copies {source}"


def test_an_image_holds_the_packages_of_its_commands() -> None:
    """`python -m PACKAGE` of every service: the module exists, and its package is copied into the image."""
    packages = {
        dockerfile.parent.name: {source for file, source in copies() if file == dockerfile}
        for dockerfile in DOCKERFILES
    }
    found = set()
    for name, service in SERVICES.items():
        command = service.get("command", [])
        for module in re.findall(r"python,? -m,? (\w+)", " ".join(command)):
            assert importlib.util.find_spec(f"{module}.__main__"), f"{name} runs {module}"
            image = Path(service["build"]["dockerfile"]).parent.name
            assert {module, "schemas"} <= packages[image], f"{name} runs {module}"
            found.add(module)
    assert found == {"schemas", "jobs", "producer", "api"}


def test_build_files_are_there() -> None:
    """Each service of ours is built from a Dockerfile of the project."""
    built = {PROJECT / service["build"]["dockerfile"] for service in SERVICES.values() if "build" in service}
    assert built == set(DOCKERFILES)


def test_the_workflow_does_what_a_developer_does() -> None:
    """make check test, two things at a time, and make up && make smoke; with targets that exist."""
    workflow = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert ".ci/run" in runs
    assert "make -j 2 check test" in (PROJECT / ".ci/run").read_text(encoding="utf-8")
    assert "make up && make smoke" in runs
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z -]+)", " && ".join(runs)):
        for name in target.split():
            assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
