"""``python -m api``: serves until SIGTERM or SIGINT. ``python -m api keys ...``: API keys."""

import sys

from schemas.errors import TickstreamError


def main(arguments: list[str]) -> int:
    """Runs the server or a command; returns the exit code."""
    try:
        if arguments and arguments[0] == "keys":
            from api.security.commands import run  # noqa: PLC0415 -- the server is slow to load

            return run(arguments[1:])
        if arguments:
            sys.stderr.write("usage: python -m api [keys create | list | rotate | revoke]\n")
            return 2
        from api.serve import serve  # noqa: PLC0415 -- likewise

        return serve()
    except TickstreamError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
