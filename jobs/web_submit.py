"""What Flink's Web UI runs to submit a job: ``-pym jobs.web_submit bars`` as program arguments.

The JobManager starts it, with its own environment: settings come from there.
"""

import argparse
import sys

import structlog

from jobs.__main__ import JOBS
from jobs.settings import JobSettings
from jobs.submit import submit_inside
from schemas.errors import TickstreamError
from schemas.logs import configure_logging
from schemas.settings import load_settings

log = structlog.get_logger()


def main() -> int:
    parser = argparse.ArgumentParser(prog="-pym jobs.web_submit", description=__doc__)
    parser.add_argument("job", choices=JOBS)
    job = parser.parse_args().job
    try:
        settings = load_settings(JobSettings)
        configure_logging(settings, "jobs")
        submit_inside(settings, job)
    except TickstreamError as error:
        log.error("submission_failed", job=job, error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
