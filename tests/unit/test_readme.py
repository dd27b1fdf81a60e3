"""What the README names exists."""

import re

from docker.local.settings import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_every_make_target_exists() -> None:
    """Every ``make x`` of the README is a target."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)", README)) - {"run"}
    assert named <= targets
    assert "run" in targets


def test_every_link_leads_somewhere() -> None:
    """Every relative link is a file or folder of the project."""
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    assert [link for link in links if not (PROJECT / link).exists()] == []


def test_every_setting_is_one() -> None:
    """Every setting that a command or the text names is in .env.example, or an argument of make that the
    Makefile uses."""
    known = set(
        re.findall(r"^([A-Z_]+)=", (PROJECT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )
    arguments = set(
        re.findall(r"\$\((?:if \$\(|or \$\()?([A-Z]+)\b", (PROJECT / "Makefile").read_text(encoding="utf-8"))
    )
    named = set(re.findall(r"\b([A-Z][A-Z_]{3,})=", README))
    assert named <= known | arguments
