"""The servers read the files that the images read, with this machine's ports and folders after them."""

import os
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from docker.local.flink_libraries import link_package
from docker.local.java import find_jdk
from docker.local.parts import JOBS
from docker.local.render import SYSTEM_MARK, render, server_environment
from docker.local.settings import PROJECT, LocalSettings

NO_JDK = Path("/nonexistent")


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    (tmp_path / "state/lib/flink").mkdir(parents=True)
    return LocalSettings(
        state_dir=tmp_path / "state", kafka_port=19092, kafka_controller_port=19093, flink_ui_port=18081
    )


def properties(path: Path) -> dict[str, str]:
    """Key -> value; a key that is there twice fails."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    pairs = [line.split("=", 1) for line in lines]
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_kafka_has_the_shared_settings_and_its_own_addresses(settings: LocalSettings) -> None:
    """What is not this machine's is exactly as in docker/kafka."""
    render(settings, NO_JDK)
    shared = properties(PROJECT / "docker/kafka/server.properties")
    rendered = properties(settings.folders.conf / "kafka.properties")
    own = {
        "listeners": "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093",
        "advertised.listeners": "PLAINTEXT://127.0.0.1:19092",
        "controller.quorum.voters": "1@127.0.0.1:19093",
        "log.dirs": str(settings.folders.data / "kafka"),
    }
    assert rendered == shared | own


def test_flink_has_the_shared_settings_and_its_own_addresses(settings: LocalSettings) -> None:
    """One valid YAML document; nested and dotted keys are the same to Flink."""
    render(settings, NO_JDK)
    rendered = yaml.safe_load((settings.folders.conf / "flink/config.yaml").read_text(encoding="utf-8"))
    shared = yaml.safe_load((PROJECT / "docker/flink/config.yaml").read_text(encoding="utf-8"))
    assert {key: rendered[key] for key in shared} == shared
    assert rendered["rest.port"] == 18081
    assert rendered["rest.bind-address"] == rendered["taskmanager.host"] == "127.0.0.1"
    assert rendered["jobmanager.memory.process.size"] == f"{settings.jobmanager_memory_mb}m"


def test_the_web_ui_takes_no_programs_by_default(settings: LocalSettings) -> None:
    """Anything on this machine that reaches its port could run them."""
    render(settings, NO_JDK)
    rendered = yaml.safe_load((settings.folders.conf / "flink/config.yaml").read_text(encoding="utf-8"))
    assert rendered["web"]["submit"] == {"enable": False}
    assert "web.submit.enable" not in rendered


def test_the_web_ui_offers_our_jobs_if_asked_to(settings: LocalSettings) -> None:
    """A jar for each, in place of those of the last start, where Flink looks: below its folder of uploads."""
    jdk = find_jdk(os.environ)
    assert jdk is not None
    settings = settings.model_copy(update={"flink_web_submit": True})
    link_package(settings.folders.lib / "flink")
    render(settings, jdk)
    render(settings, jdk)
    rendered = yaml.safe_load((settings.folders.conf / "flink/config.yaml").read_text(encoding="utf-8"))
    assert rendered["web.submit.enable"] is True
    jars = list(Path(rendered["web.upload.dir"]).glob("flink-web-upload/*.jar"))
    assert {jar.name.partition("_")[2] for jar in jars} == {f"{job}.jar" for job in JOBS}
    for jar in jars:
        with ZipFile(jar) as archive:
            manifest = archive.read("META-INF/MANIFEST.MF").decode()
            main_class = manifest.split("Main-Class: ")[1].splitlines()[0]
            assert f"{main_class}.class" in archive.namelist()


def test_every_part_finds_the_servers_and_carries_the_mark(settings: LocalSettings, tmp_path: Path) -> None:
    """The local addresses win over what the caller's environment says; the rest of it is kept."""
    environment = server_environment(
        settings,
        {"KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092", "SYMBOLS": "A,B", "PATH": "/bin"},
        tmp_path / "jdk",
    )
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == environment["APICURIO_KAFKASQL_BOOTSTRAP_SERVERS"]
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:19092"
    assert environment["SYMBOLS"] == "A,B"
    assert environment["APICURIO_STORAGE_KIND"] == "kafkasql"
    assert environment["PATH"] == f"{tmp_path}/jdk/bin:/bin"
    assert environment[SYSTEM_MARK] == str(settings.folders.root)
