"""Who may import whom, and what lies where; read from the source, so an import inside a function counts."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "schemas": set[str](),
    "producer": {"schemas"},
    "jobs": {"schemas"},
    "api": {"schemas"},
}
TOP_LEVEL = {
    "api", "docker", "jobs", "producer", "schemas", "tests",
    "docker-compose.yml", "LICENSE", "Makefile", "pyproject.toml", "README.md",
}  # fmt: skip
LATER = {"grafana"}
"""Agreed as well; git knows no empty folder, so it may not be there yet."""
FLINK = {"pyflink", "py4j", "pemja", "apache_beam"}


def source_files(package: str) -> dict[str, Path]:
    """Module name -> file, of a package of ours."""
    files = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imports(text: str, module: str, is_package: bool) -> set[str]:
    """Every module that a source text imports, anywhere in it; ``from a import b`` counts as a and a.b."""
    found = set[str]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parents = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parents, *filter(None, [base])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def module_imports(module: str, path: Path) -> set[str]:
    return imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")


def top(module: str) -> str:
    return module.partition(".")[0]


def test_imports_are_found_wherever_they_stand() -> None:
    """The reader below is only worth what this finds."""
    text = """
import os.path, json as j
from schemas.events import Trade
def late():
    from jobs import bars
    if True:
        import api.main
from . import sibling
from .other import thing
from ..up import more
"""
    assert imports(text, "producer.sub.module", is_package=False) == {
        "os.path", "json", "schemas.events", "schemas.events.Trade", "jobs", "jobs.bars", "api.main",
        "producer.sub", "producer.sub.sibling", "producer.sub.other", "producer.sub.other.thing",
        "producer.up", "producer.up.more",
    }  # fmt: skip
    assert imports("from . import x", "producer.sub", is_package=True) == {"producer.sub", "producer.sub.x"}


@pytest.mark.parametrize("package", list(MAY_IMPORT))
def test_a_part_imports_schemas_and_no_other_part(package: str) -> None:
    """Producer, jobs and API know each other by topics and tables only; nothing imports docker or tests."""
    files = source_files(package)
    assert files, f"no sources in {package}"
    ours = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.rglob("*.py"))} | {"tests"}
    forbidden = ours - MAY_IMPORT[package] - {package}
    wrong = {
        f"{module} imports {name}"
        for module, path in files.items()
        for name in module_imports(module, path)
        if top(name) in forbidden
    }
    assert wrong == set()


def test_the_domain_reaches_no_flink_however_far_its_imports_go() -> None:
    """Bars must be testable, and readable, without a cluster."""
    files = {name: path for package in MAY_IMPORT for name, path in source_files(package).items()}
    seen: dict[str, str] = {}
    queue = [(name, name) for name in files if name == "jobs.domain" or name.startswith("jobs.domain.")]
    assert queue, "no sources in jobs/domain"
    while queue:
        module, way = queue.pop()
        if module in seen:
            continue
        seen[module] = way
        for name in module_imports(module, files[module]):
            assert top(name) not in FLINK, f"{way} -> {name}"
            # Importing a.b.c runs a and a.b as well.
            parts = name.split(".")
            prefixes = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
            queue += [(prefix, f"{way} -> {prefix}") for prefix in prefixes & files.keys()]


def test_flink_is_imported_by_the_jobs_only() -> None:
    """Everything else runs, and is installed, without it."""
    users = {
        module
        for package in ("schemas", "producer", "api")
        for module, path in source_files(package).items()
        if FLINK & set(map(top, module_imports(module, path)))
    }
    assert users == set()


def test_the_top_level_holds_what_was_agreed() -> None:
    """What git tracks: no file or folder besides these, dotfiles apart."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {line.partition("/")[0] for line in tracked.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} | LATER == TOP_LEVEL | LATER


def test_every_package_says_what_it_is_for() -> None:
    """Each module begins with a docstring."""
    silent = {
        module
        for package in MAY_IMPORT
        for module, path in source_files(package).items()
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert silent == set()
