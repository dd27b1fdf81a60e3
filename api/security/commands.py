"""``python -m api keys create | list | rotate | revoke``."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime

from api.security import audit
from api.security.key_admin import KeyAdmin
from api.security.keys import SCOPE_MEANINGS, SCOPES, ApiKey, Scope
from api.times import Now, to_datetime, wall_clock
from schemas.cassandra_session import connect
from schemas.errors import TickstreamError
from schemas.logs import configure_logging
from schemas.settings import CassandraSettings, LogSettings, load_settings

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MOST_SECONDS = 100 * 365 * 86_400
Out = Callable[[str], object]


def run(arguments: Sequence[str], now: Now = wall_clock) -> int:
    """Runs one command; returns the exit code. Keys and lists go to standard output, all else to standard
    error."""
    asked = _parser().parse_args(arguments)
    try:
        configure_logging(load_settings(LogSettings), "api")
        settings = load_settings(CassandraSettings)
        session = connect(settings)
    except TickstreamError as error:
        _say(str(error))
        return 1
    try:
        _act(asked, KeyAdmin(session, settings.cassandra_keyspace, now), now, _print)
    except TickstreamError as error:
        _say(str(error))
        return 1
    finally:
        session.cluster.shutdown()
    return 0


def _act(asked: argparse.Namespace, keys: KeyAdmin, now: Now, out: Out) -> None:
    if asked.action == "create":
        end = None if asked.expires is None else now() + asked.expires
        key, text = keys.create(asked.name, asked.scopes, end)
        audit.key_change("create", key.key_id, name=key.name, scopes=sorted(key.scopes))
        _hand_over(key, text, out)
    elif asked.action == "rotate":
        key, text = keys.rotate(asked.key_id, asked.overlap)
        audit.key_change("rotate", asked.key_id, replaced_by=key.key_id)
        _hand_over(key, text, out)
        _say(f"The old key {asked.key_id} works until {_time(keys.find(asked.key_id).expires_at)}.")
    elif asked.action == "revoke":
        key = keys.revoke(asked.key_id)
        audit.key_change("revoke", key.key_id)
        _say(f"Key {key.key_id} ({key.name}) is revoked; API_KEY_CACHE_SECONDS later nobody takes it.")
    else:
        _list(keys.all(), now(), out)


def _hand_over(key: ApiKey, text: str, out: Out) -> None:
    _say(
        f"Key {key.key_id} ({key.name}), scopes {','.join(sorted(key.scopes))}, ends {_time(key.expires_at)}."
    )
    _say("Keep it now: it is shown this once, and stored as a hash only.")
    out(text)


def _list(keys: list[ApiKey], now: int, out: Out) -> None:
    rows = [("ID", "NAME", "SCOPES", "STATE", "CREATED", "ENDS", "REPLACED BY")]
    rows += [
        (
            key.key_id,
            key.name,
            ",".join(sorted(key.scopes)),
            key.state(now),
            _time(key.created_at),
            _time(key.expires_at if key.revoked_at is None else key.revoked_at),
            key.replaced_by or "",
        )
        for key in keys
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        out("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m api keys", description="API keys of all processes.")
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key and show it, once")
    create.add_argument("name", type=_name, help="who or what it is for; shown in lists")
    scopes = "; ".join(f"{scope}: {meaning}" for scope, meaning in SCOPE_MEANINGS.items())
    create.add_argument(
        "--scopes", type=_scopes, default=frozenset({"read"}), help=f"by default read. {scopes}"
    )
    create.add_argument("--expires", type=_lifetime, help="such as 90d; by default never")
    actions.add_parser("list", help="every key, without its secret")
    rotate = actions.add_parser("rotate", help="replace a key; the old one goes on for a while")
    rotate.add_argument("key_id", metavar="ID")
    rotate.add_argument(
        "--overlap",
        type=_duration,
        default=_duration("24h"),
        help="how long the old one goes on; by default 24h",
    )
    revoke = actions.add_parser("revoke", help="end a key")
    revoke.add_argument("key_id", metavar="ID")
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w .@:-]{1,64}", text):
        raise argparse.ArgumentTypeError("1 to 64 letters, digits, spaces and . @ : - _")
    return text


def _scopes(text: str) -> frozenset[Scope]:
    names = {name.strip() for name in text.split(",")}
    if names - set(SCOPES):
        raise argparse.ArgumentTypeError(f"some of {', '.join(SCOPES)}, separated by commas")
    return frozenset(scope for scope in SCOPES if scope in names)


def _duration(text: str) -> int:
    """Microseconds of ``90d``, ``24h``, ``15m``, ``30s``."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    seconds = int(match[1]) * UNITS_S[match[2]] if match else MOST_SECONDS + 1
    if seconds > MOST_SECONDS:
        raise argparse.ArgumentTypeError("a duration such as 90d, 24h, 15m or 30s; a century at most")
    return seconds * 1_000_000


def _lifetime(text: str) -> int:
    """The same, but for a key that would be of no use."""
    microseconds = _duration(text)
    if microseconds == 0:
        raise argparse.ArgumentTypeError("a key that nobody can use: a duration such as 90d")
    return microseconds


def _time(time_us: int | None) -> str:
    return "never" if time_us is None else _written(to_datetime(time_us))


def _written(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
