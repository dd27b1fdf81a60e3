"""The live side of the API: the feed, the hub, and every client's session."""

import contextlib
import time
from collections.abc import Callable

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.errors import OriginRefused, StorageUnavailable, refuse_handshake
from api.live.continuity import Continuity
from api.live.current import CurrentBars, ReadBar
from api.live.deliveries import Deliveries
from api.live.feed import Feed
from api.live.gate import Gate
from api.live.hub import Hub, Tap, TicksTap
from api.live.latest import Latest
from api.live.origins import is_allowed
from api.live.protocol import Subscribe, error
from api.live.session import IsKnown, Session, Shared
from api.metrics import LiveMetrics
from api.security import audit
from api.security.callers import SUBPROTOCOL, Caller, offered_subprotocols
from api.settings import ApiSettings
from api.times import Now
from schemas.tracing import Tracing

log = structlog.get_logger()
TRY_AGAIN = 1013
"""Code with which a connection is closed that is one too many."""


class LiveServer:
    """One for the whole process. ``run`` reads Kafka, ``serve`` talks to one client."""

    def __init__(
        self,
        settings: ApiSettings,
        metrics: LiveMetrics,
        is_known: IsKnown,
        now: Now,
        gate: Gate,
    ) -> None:
        """``is_known`` is asked about symbols of which nothing has come yet; it may raise
        StorageUnavailable."""
        self._settings = settings
        self._metrics = metrics
        self._is_known = is_known
        self._hub = Hub(settings.ws_resume_events)
        self._bars = CurrentBars(self._hub.latest, now)
        self._shared = Shared(self._hub, settings, metrics, self._exists, self._bars, now, rate=gate.rate)
        self._gate = gate
        self._feed = Feed(settings, self._hub.publish, metrics, now)
        self._sessions: set[Session] = set()
        metrics.lag.set_function(self.lag)

    @property
    def latest(self) -> Latest:
        """What is newest of each symbol."""
        return self._hub.latest

    @property
    def clients(self) -> int:
        """WebSocket connections."""
        return len(self._sessions)

    @property
    def continuity(self) -> Continuity:
        """Whether what has come is all there was."""
        return self._feed.continuity

    def watch(self, tap: Tap) -> None:
        """Calls ``tap`` with every event that comes, on the event loop; it must be quick."""
        self._hub.taps.append(tap)

    def watch_ticks(self, tap: TicksTap) -> None:
        """Calls ``tap`` likewise with trades or quotes that come together, which no other tap gets."""
        self._hub.ticks_taps.append(tap)

    def read_bars(self, read: ReadBar) -> None:
        """To be called before ``run``: where snapshots have bars from of which nothing has come yet."""
        self._bars.read = read

    def trace(self, tracing: Tracing) -> None:
        """To be called before ``run``: what comes with a trace is followed to the clients' outboxes."""
        self._feed.deliveries = Deliveries(tracing)

    async def run(self) -> None:
        """Feeds the clients until it is cancelled."""
        async with self._gate.watching():
            await self._feed.run()

    async def serve(self, socket: WebSocket, first: Callable[[], Subscribe] | None = None) -> None:
        """Talks to a client until it leaves. ``first``: what the address asks for."""
        caller: Caller = socket.state.caller
        offered = offered_subprotocols(socket.headers)
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in offered else None
        origin = socket.headers.get("origin")
        if not is_allowed(origin, socket.headers.get("host"), self._settings.ws_origins):
            self._metrics.refused.labels("origin").inc()
            log.warning("live_origin_refused", origin=(origin or "")[:200], detail="see WS_ORIGINS")
            audit.refusal("WEBSOCKET", socket.url.path, caller.address, caller.key_id, "origin")
            await refuse_handshake(socket, OriginRefused(origin or ""))
            return
        refused = self._no_room(caller)
        if refused is not None:
            code, text = refused
            self._metrics.refused.labels(code).inc()
            audit.refusal("WEBSOCKET", socket.url.path, caller.address, caller.key_id, code)
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it did not wait for the answer
                await socket.accept(subprotocol)
                await socket.send_text(error(code, text))
                await socket.close(TRY_AGAIN, code)
            return
        session = Session(socket, self._shared)
        self._sessions.add(session)
        self._metrics.clients.set(len(self._sessions))
        reason = "fault"
        try:
            with self._gate.holding(caller, session.dismiss):
                reason = await session.run(first, subprotocol)
        finally:
            self._sessions.discard(session)
            self._metrics.clients.set(len(self._sessions))
            self._metrics.ended.labels(reason).inc()
            log.info(
                "live_client_gone",
                client=socket.client and f"{socket.client.host}:{socket.client.port}",
                reason=reason,
            )

    def _no_room(self, caller: Caller) -> tuple[str, str] | None:
        """Code and message, where the caller can have no further connection."""
        most = self._settings.ws_max_clients
        if len(self._sessions) >= most:
            return "too_many_clients", f"{most} clients are connected: try again later"
        if not self._gate.has_room(caller):
            return "too_many_connections", "this key or address holds as many as it may: close one"
        return None

    def lag(self) -> float:
        """How long the message has waited that has waited longest, in seconds."""
        waiting = [session.outbox.oldest for session in self._sessions]
        return max((time.monotonic() - since for since in waiting if since is not None), default=0.0)

    async def _exists(self, symbol: str) -> bool:
        try:
            return await self._is_known(symbol)
        except StorageUnavailable:
            return True  # it may: live data must not wait for the storage
