"""``python -m docker.local <command>``: the whole system as processes of this machine."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from threading import Event

from docker.console import Console
from docker.local import flink_libraries
from docker.local.demo import demo_environment
from docker.local.errors import PartFailed
from docker.local.fetch import fetch, is_fetched
from docker.local.java import find_jdk
from docker.local.leftovers import end_leftovers
from docker.local.parts import Part
from docker.local.render import server_environment
from docker.local.replay import replay
from docker.local.run import run
from docker.local.settings import LocalSettings
from docker.local.status import status_table
from docker.local.supervisor import Supervisor
from docker.local.system import LocalSystem, plan_of
from docker.smoke import smoke
from schemas.errors import ConfigurationError, TickstreamError
from schemas.settings import load_settings

LOG_LINES = "100"


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docker.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start everything, stay until Ctrl-C, then stop everything in order")
    commands.add_parser("down", help="stop a system whose terminal is gone")
    commands.add_parser("status", help="what runs, where, since when")
    logs = commands.add_parser("logs", help="show the logs, and go on showing them in a terminal")
    logs.add_argument("part", nargs="?", help="one part only")
    clean = commands.add_parser("clean", help="delete all stored data, state and logs")
    clean.add_argument("--all", action="store_true", help="the servers' programs, too")
    replayed = commands.add_parser(
        "replay", help="recordings through jobs of their own, beside the live ones"
    )
    replayed.add_argument("files", help="CSV or JSON lines, .gz too, separated by commas")
    demo = commands.add_parser("demo", help="run, with recordings that are played as if they happened now")
    demo.add_argument("files", nargs="?", default="", help="as for replay; the recorded session if none")
    demo.add_argument("--speed", default="1", help="times as fast as it was")
    demo.add_argument("--with", dest="beside", default="simulator", help="simulator or none")
    commands.add_parser("smoke", help="check the running system end to end")
    commands.add_parser("fetch", help="fetch the servers from Maven, start nothing")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        return _run(options, load_settings(LocalSettings), console)
    except TickstreamError as error:
        console.error(str(error))
    except KeyboardInterrupt:
        console.error("Interrupted.")
        return 130
    except BrokenPipeError:  # who read our output, head say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _run(options: argparse.Namespace, settings: LocalSettings, console: Console) -> int:
    match options.command:
        case "run":
            return run(settings, os.environ, console)
        case "down":
            return _down(settings, console)
        case "status":
            processes = Supervisor(settings.folders).processes()
            for line in status_table(_parts(settings), processes, settings.ports):
                console.line(line)
            return 0
        case "logs":
            return _logs(settings, options.part)
        case "clean":
            return _clean(settings, console, everything=options.all)
        case "replay":
            return _replay(settings, options.files, console)
        case "demo":
            return _demo(settings, options, console)
        case "smoke":
            return smoke({**os.environ, **settings.addresses()}, console.line)
        case _:
            return _fetch(settings, console)


def _down(settings: LocalSettings, console: Console) -> int:
    if Supervisor(settings.folders).is_running():
        plan = plan_of(settings, os.environ, find_jdk(os.environ) or Path())
        LocalSystem(plan, console.line, Event()).down()
        console.line("Everything is stopped. The data is kept: the next start goes on from it.")
    elif ended := end_leftovers(settings.folders):
        console.line(f"Ended what a killed system had left behind: {', '.join(ended)}")
    else:
        console.line("Nothing is running.")
    return 0


def _logs(settings: LocalSettings, part: str | None) -> int:
    logs = settings.folders.logs
    files = sorted(logs.glob("*.log")) if part is None else [settings.folders.log(part)]
    if not files or not all(file.is_file() for file in files):
        known = ", ".join(sorted(file.stem for file in logs.glob("*.log"))) or "none yet"
        raise ConfigurationError(f"no log of {part or 'anything'} in {logs}; there are: {known}")
    follow = ["-F"] if sys.stdout.isatty() else []
    tail = ["tail", "-n", LOG_LINES, *follow, *map(str, files)]
    sys.stdout.flush()
    os.execvp(tail[0], tail)  # noqa: S606 -- tail, with our own file names


def _clean(settings: LocalSettings, console: Console, *, everything: bool) -> int:
    folders = settings.folders
    if Supervisor(folders).is_running():
        raise ConfigurationError(
            "the system is running: stop it first (Ctrl-C in its terminal, or `make down`)"
        )
    end_leftovers(folders)
    doomed = [folders.data, folders.flink, folders.logs, folders.conf, folders.run]
    for folder in [*doomed, folders.lib] if everything else doomed:
        shutil.rmtree(folder, ignore_errors=True)
    console.line(f"Deleted all stored data, state and logs in {folders.root}.")
    return 0


def _replay(settings: LocalSettings, files: str, console: Console) -> int:
    if not Supervisor(settings.folders).is_running():
        raise ConfigurationError("the system is not running: start it with `make run`, and replay beside it")
    jdk = find_jdk(os.environ)
    environment = server_environment(settings, os.environ, jdk or Path())
    done = replay([Path(file) for file in files.split(",")], settings, environment, console.line)
    console.line(
        f"Replayed into {done.candles} versions of bars and {done.dead_letters} dead"
        f" letters: in the tables, and in the topics {done.topics.prefix}.*"
    )
    if done.filled_gaps:
        console.line(f"{done.filled_gaps} gaps of the ledger are filled by it.")
    return 0


def _demo(settings: LocalSettings, options: argparse.Namespace, console: Console) -> int:
    if Supervisor(settings.folders).is_running():
        raise ConfigurationError(
            "the system is running already, and a demo is a start of its own: stop it (Ctrl-C in its"
            " terminal, or `make down`), then `make demo`; `make replay FILE=...` plays one beside it"
        )
    files = [Path(file) for file in options.files.split(",") if file]
    changes = demo_environment(files, options.speed, options.beside, os.environ)
    beside = "" if options.beside == "none" else ", with the simulator beside it"
    console.line(f"Playing {changes['REPLAY_FILES']}")
    console.line(f"as if it happened now, {options.speed} times as fast{beside}, again and again.")
    return run(settings, {**os.environ, **changes}, console)


def _fetch(settings: LocalSettings, console: Console) -> int:
    jdk = find_jdk(os.environ)
    if jdk is None or shutil.which("mvn") is None:
        raise PartFailed("JDK 17 and Maven are needed to fetch the servers: `make run` says how to get them")
    if not is_fetched(settings.folders):
        console.line("Fetching the servers from Maven ...")
        fetch(settings.folders, {**os.environ, "JAVA_HOME": str(jdk)}, Event())
    flink_libraries.complete(settings.folders, jdk)
    return 0


def _parts(settings: LocalSettings) -> list[Part]:
    parts = plan_of(settings, os.environ, Path()).parts
    return [part for part in parts.values() if isinstance(part, Part)]


if __name__ == "__main__":
    sys.exit(main())
