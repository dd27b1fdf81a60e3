"""``python -m jobs run | submit | stop [--job JOB]``: see ``--help``."""

import argparse
import sys

import structlog

from jobs.cluster import FlinkCluster
from jobs.keeper import Keeper
from jobs.settings import JobSettings
from schemas.errors import ConfigurationError, TickstreamError
from schemas.logs import configure_logging
from schemas.settings import load_settings
from schemas.stopping import set_on_signals

log = structlog.get_logger()
JOBS = ("bars", "store")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m jobs", description="Runs the Flink jobs.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="submit the jobs and keep them running until SIGTERM or SIGINT")
    submit = commands.add_parser(
        "submit", help="submit those of the jobs that do not run, each from its newest state, and return"
    )
    stop = commands.add_parser(
        "stop", help="stop the jobs with a savepoint; they stay down until they are submitted"
    )
    for command in (run, submit, stop):
        command.add_argument(
            "--job", action="append", choices=JOBS, help="only this one; may be given again (default: all)"
        )
    arguments = parser.parse_args()
    jobs = tuple(arguments.job or JOBS)
    try:
        settings = load_settings(JobSettings)
    except ConfigurationError as error:
        print(f"jobs: {error}", file=sys.stderr)  # noqa: T201 -- before logging exists
        return 2
    configure_logging(settings, "jobs")
    try:
        if arguments.command == "submit":
            from jobs.submit import submit as submit_jobs  # noqa: PLC0415 -- brings up a JVM

            submit_jobs(settings, jobs)
        elif arguments.command == "stop":
            with FlinkCluster(settings.flink_rest_url) as cluster:
                Keeper(settings, cluster, jobs).stop_jobs()
        else:
            keep(settings, jobs)
    except TickstreamError as error:
        log.error("jobs_failed", error=str(error))
        return 1
    return 0


def keep(settings: JobSettings, jobs: tuple[str, ...]) -> None:
    """Runs the keeper until a signal; then stops the jobs."""
    with FlinkCluster(settings.flink_rest_url) as cluster:
        keeper = Keeper(settings, cluster, jobs)
        set_on_signals(keeper.stopping)
        keeper.run()


if __name__ == "__main__":
    sys.exit(main())
