"""The live side of the API: the feed, the hub, and every client's session."""

import time
from collections.abc import Callable

import structlog
from starlette.websockets import WebSocket

from api.errors import StorageUnavailable
from api.live.continuity import Continuity
from api.live.deliveries import Deliveries
from api.live.feed import Feed
from api.live.hub import Hub, Tap
from api.live.latest import Latest
from api.live.origins import is_allowed
from api.live.protocol import Subscribe, error
from api.live.session import IsKnown, Session, Shared
from api.metrics import LiveMetrics
from api.settings import ApiSettings
from api.times import Now
from schemas.tracing import Tracing

log = structlog.get_logger()
TRY_AGAIN = 1013
"""Code with which a connection is closed that is one too many."""


class LiveServer:
    """One for the whole process. ``run`` reads Kafka, ``serve`` talks to one client."""

    def __init__(self, settings: ApiSettings, metrics: LiveMetrics, is_known: IsKnown, now: Now) -> None:
        """``is_known`` is asked about symbols of which nothing has come yet; it may raise
        StorageUnavailable."""
        self._settings = settings
        self._metrics = metrics
        self._is_known = is_known
        self._hub = Hub(settings.ws_resume_events)
        self._shared = Shared(self._hub, settings, metrics, self._exists, now)
        self._feed = Feed(settings, self._hub.publish, metrics, now)
        self._sessions: set[Session] = set()
        metrics.lag.set_function(self._lag)

    @property
    def latest(self) -> Latest:
        """What is newest of each symbol."""
        return self._hub.latest

    @property
    def continuity(self) -> Continuity:
        """Whether what has come is all there was."""
        return self._feed.continuity

    def watch(self, tap: Tap) -> None:
        """Calls ``tap`` with every event that comes, on the event loop; it must be quick."""
        self._hub.taps.append(tap)

    def trace(self, tracing: Tracing) -> None:
        """To be called before ``run``: what comes with a trace is followed to the clients' outboxes."""
        self._feed.deliveries = Deliveries(tracing)

    async def run(self) -> None:
        """Feeds the clients until it is cancelled."""
        await self._feed.run()

    async def serve(self, socket: WebSocket, first: Callable[[], Subscribe] | None = None) -> None:
        """Talks to a client until it leaves. ``first``: what the address asks for."""
        origin = socket.headers.get("origin")
        if not is_allowed(origin, socket.headers.get("host"), self._settings.ws_origins):
            self._metrics.refused.labels("origin").inc()
            log.warning("live_origin_refused", origin=(origin or "")[:200], detail="see WS_ORIGINS")
            await socket.close()  # before it is accepted: the handshake is answered with 403
            return
        if len(self._sessions) >= self._settings.ws_max_clients:
            self._metrics.refused.labels("too_many_clients").inc()
            await socket.accept()
            text = f"{self._settings.ws_max_clients} clients are connected: try again later"
            await socket.send_text(error("too_many_clients", text))
            await socket.close(TRY_AGAIN, "too_many_clients")
            return
        session = Session(socket, self._shared)
        self._sessions.add(session)
        self._metrics.clients.set(len(self._sessions))
        reason = "fault"
        try:
            reason = await session.run(first)
        finally:
            self._sessions.discard(session)
            self._metrics.clients.set(len(self._sessions))
            self._metrics.ended.labels(reason).inc()
            log.info(
                "live_client_gone",
                client=socket.client and f"{socket.client.host}:{socket.client.port}",
                reason=reason,
            )

    def _lag(self) -> float:
        """How long the message has waited that has waited longest, in seconds."""
        waiting = [session.outbox.oldest for session in self._sessions]
        return max((time.monotonic() - since for since in waiting if since is not None), default=0.0)

    async def _exists(self, symbol: str) -> bool:
        try:
            return await self._is_known(symbol)
        except StorageUnavailable:
            return True  # it may: live data must not wait for the storage
