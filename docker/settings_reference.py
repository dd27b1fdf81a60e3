"""``python -m docker.settings_reference > .env.example``: every setting of every part, from the code."""

import re
import sys
from importlib import import_module
from pathlib import Path
from textwrap import wrap

from pydantic.fields import FieldInfo

from docker.local.settings import PROJECT
from schemas.settings import EnvironmentSettings

PARTS = ("schemas", "producer", "jobs", "api", "docker")
SETTINGS_CLASS = re.compile(r"^class (\w+)\([^()]*Settings,?\s*\):", re.MULTILINE)
HEADER = """\
# Every setting of every part, with its default. Copy this file to .env and change what you like: `make run`,
# the other targets and docker compose read it. What is set in the environment wins; an empty value counts as
# not set.
# The local system and docker compose set the addresses of their own servers themselves, from the ports.
# Written by: python -m docker.settings_reference > .env.example
"""


def reference() -> str:
    """The text of .env.example."""
    known: set[str] = set()
    sections = [HEADER]
    for settings in settings_classes():
        own = {
            name: field for name, field in settings.model_fields.items() if name in settings.__annotations__
        }
        new = {name: field for name, field in own.items() if name not in known}
        known.update(new)
        if new:
            sections.append(f"# ---- {_title(settings)}\n")
            sections += [_entry(name, field) for name, field in new.items()]
    return "\n".join(sections)


def settings_classes() -> list[type[EnvironmentSettings]]:
    """Every class of settings in the project's code, in the order of the parts and of their files."""
    classes: list[type[EnvironmentSettings]] = []
    for part in PARTS:
        for path in sorted((PROJECT / part).rglob("*.py")):
            for name in SETTINGS_CLASS.findall(path.read_text(encoding="utf-8")):
                found = getattr(import_module(_module(path)), name)
                if issubclass(found, EnvironmentSettings):
                    classes.append(found)
    return classes


def default_text(field: FieldInfo) -> str:
    """A default as it is written in the environment."""
    default = field.get_default(call_default_factory=True)
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(str(item) for item in default)
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def bounds_text(field: FieldInfo) -> str:
    """What a number may be, such as ``1 to 65535``; empty where there are no bounds."""
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = {name: getattr(each, name) for each in field.metadata for name in signs if hasattr(each, name)}
    if found.keys() == {"ge", "le"}:
        return f"{found['ge']} to {found['le']}"
    return ", ".join(f"{signs[name]} {value}" for name, value in found.items())


def _entry(name: str, field: FieldInfo) -> str:
    bounds = bounds_text(field)
    meaning = f"{field.description} ({bounds})" if bounds else field.description or ""
    lines = wrap(meaning, width=108, initial_indent="# ", subsequent_indent="#   ")
    return "\n".join([*lines, f"{name.upper()}={default_text(field)}", ""])


def _title(settings: type[EnvironmentSettings]) -> str:
    part = settings.__module__.split(".")[0]
    words = re.sub(r"(?<!^)([A-Z])", r" \1", settings.__name__.removesuffix("Settings")).lower()
    return words if part in ("schemas", words) else f"{part}: {words}"


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


if __name__ == "__main__":
    sys.stdout.write(reference())
