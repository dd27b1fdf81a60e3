"""What is said at the start: who can reach the API, and that nobody has a key."""

from ipaddress import ip_address

import structlog

from api.database import Database
from api.errors import StorageUnavailable
from api.security.key_store import KeyStore
from api.security.settings import SecuritySettings
from api.times import Now

log = structlog.get_logger()


async def connect(
    database: Database, settings: SecuritySettings, host: str, keys: KeyStore, now: Now
) -> None:
    """Connects to Cassandra, then says who may read."""
    await database.run()
    await say_who_may_read(settings, host, keys, now)


async def say_who_may_read(settings: SecuritySettings, host: str, keys: KeyStore, now: Now) -> None:
    """Warns where the API listens on more than loopback and no key is valid, or where networks that anybody
    may be in count as loopback."""
    public = [str(network) for network in settings.loopback if not network.is_private]
    if public and settings.api_keyless_reads:
        log.warning("api_open_to_everybody", networks=public, detail="see API_LOOPBACK_NETWORKS")
    if _is_loopback(host):
        return
    try:
        any_active = await keys.any_active(now())
    except StorageUnavailable:  # gone again; requests will say so
        return
    if not any_active:
        log.warning(
            "api_without_keys",
            host=host,
            detail="requests from other machines are answered with 401 until there is a key:"
            " `python -m api keys create NAME`",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
