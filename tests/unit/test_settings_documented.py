"""Every setting is in .env.example, with its default and meaning."""

import re

from docker.local.settings import PROJECT
from docker.settings_reference import PARTS, default_text, reference, settings_classes
from schemas.settings import EnvironmentSettings

EXAMPLE = (PROJECT / ".env.example").read_text(encoding="utf-8")
DIRECT = re.compile(r"""(?:environ|environment|env)(?:\.get\(|\[)["']([A-Z][A-Z0-9_]+)["']""")
OF_THE_MACHINE = {"PATH", "JAVA_HOME"}


def documented() -> dict[str, str]:
    """Name -> default, as .env.example has them."""
    lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def all_subclasses(base: type[EnvironmentSettings]) -> set[type[EnvironmentSettings]]:
    found = set(base.__subclasses__())
    return found.union(*(all_subclasses(each) for each in found))


def test_the_example_is_what_the_code_says() -> None:
    """`python -m docker.settings_reference > .env.example` writes it anew."""
    assert reference() == EXAMPLE


def test_the_example_says_what_a_number_may_be() -> None:
    """Where the code bounds it."""
    assert "# CQL port (1 to 65535)\nCASSANDRA_PORT=9042" in EXAMPLE
    assert "(at least 0)\nTOPIC_RETENTION_HOURS" in EXAMPLE
    assert "(above 0, at most 300)\nWS_HEARTBEAT_SECONDS" in EXAMPLE


def test_every_class_of_settings_is_found() -> None:
    """Also one that is defined outside of a settings.py."""
    found = set(settings_classes())
    ours = {each for each in all_subclasses(EnvironmentSettings) if each.__module__.split(".")[0] in PARTS}
    assert ours <= found
    assert {each.__name__ for each in found} >= {
        "KafkaSettings", "CassandraSettings", "ProducerSettings", "JobSettings", "ApiSettings",
        "LocalSettings",
    }  # fmt: skip


def test_every_setting_is_documented_with_its_default() -> None:
    """One name has one default, whichever parts read it."""
    examples = documented()
    for settings in settings_classes():
        for name, field in settings.model_fields.items():
            assert field.description, f"{settings.__name__}.{name} has no description"
            assert examples[name.upper()] == default_text(field), f"{settings.__name__}.{name}"


def test_nothing_is_read_from_the_environment_past_the_settings() -> None:
    """A variable that the code asks for by name is a setting, so documented, or belongs to the machine."""
    asked = {
        name: path.relative_to(PROJECT)
        for part in PARTS
        for path in (PROJECT / part).rglob("*.py")
        for name in DIRECT.findall(path.read_text(encoding="utf-8"))
    }
    own = {"FLINK_HOME", "FLINK_LIB_DIR", "FLINK_CONF_DIR"}
    unknown = {
        name: path for name, path in asked.items() if name not in documented().keys() | OF_THE_MACHINE | own
    }
    assert unknown == {}
