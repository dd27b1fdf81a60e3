"""Finding a JDK 17, also where another one is the machine's default."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

VERSION = 17
USUAL_PLACES = (
    "/usr/lib/jvm/*17*",
    "/usr/java/*17*",
    "/opt/java/*17*",
    "/opt/*jdk*17*",
    "/Library/Java/JavaVirtualMachines/*17*/Contents/Home",
    "/opt/homebrew/opt/openjdk@17/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk@17/libexec/openjdk.jdk/Contents/Home",
    "~/.sdkman/candidates/java/17*",
)


def find_jdk(environment: Mapping[str, str]) -> Path | None:
    """JAVA_HOME of a JDK 17: the configured one, the one on the PATH, or one in the usual places."""
    homes = (home for home in _candidates(environment) if (home / "bin" / "javac").is_file())
    return next((home for home in homes if java_version(home) == VERSION), None)


def java_version(home: Path) -> int | None:
    """Feature release of the Java at ``home``; None where there is no usable one."""
    java = home / "bin" / "java"
    if not java.is_file():
        return None
    release = home / "release"
    text = release.read_text(encoding="utf-8", errors="replace") if release.is_file() else _ask(java)
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if environment.get("JAVA_HOME"):
        yield Path(environment["JAVA_HOME"])
    on_path = shutil.which("java", path=environment.get("PATH"))
    if on_path:
        yield Path(os.path.realpath(on_path)).parents[1]
    for place in USUAL_PLACES:
        pattern = Path(place).expanduser()
        anchor = Path(pattern.anchor)
        yield from sorted(anchor.glob(str(pattern.relative_to(anchor))))


def _ask(java: Path) -> str:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stderr + answer.stdout
