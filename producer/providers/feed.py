"""A provider's connections, or requests, on a thread of their own, and what they bring on the one that
publishes."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from random import SystemRandom

from producer.providers.contract import Adapter, PolledAdapter
from producer.providers.counters import Counters
from producer.providers.deliveries import Delivery, Notice
from producer.providers.handover import Handover, Taken
from producer.providers.http import RestClient, gate_of
from producer.providers.link import Link, Patience, Surroundings
from producer.providers.poller import Poller
from producer.providers.settings import ProviderSettings
from producer.providers.socket import Dial, web_socket_dial
from producer.runtime import Runtime
from schemas.errors import ConfigurationError, TickstreamError, UnavailableError
from schemas.symbol_classes import SymbolClasses

MOST_AT_ONCE = 5000
"""Items that are handed over at once: heartbeats must not wait for long."""

STOP_S = 5.0


class Feed:
    """Everything that one provider sends, from all of its connections, or answers.

    The queue between the two threads is bounded by PROVIDER_QUEUE_ITEMS. When it is full nothing is read from
    the network any more: no event is thrown away here, it is the provider who has to wait, and who may close
    the connection for it, which is then a disconnect like any other.
    """

    def __init__(
        self,
        adapter: Adapter | PolledAdapter,
        symbols: Sequence[str],
        settings: ProviderSettings,
        runtime: Runtime,
        *,
        dial: Dial | None = None,
    ) -> None:
        """``dial``: None: real connections. Raises ConfigurationError for more symbols than the provider
        serves."""
        self.adapter = adapter
        self._counters = Counters(runtime.metrics, adapter.name)
        now_us = runtime.clock.now_us
        self._handover = Handover[Delivery | Notice](
            settings.provider_queue_items, now_us, self._counters.waited
        )
        classes = SymbolClasses(settings)
        around = Surroundings(
            self._handover.put,
            self._counters,
            patience_of(settings),
            now_us,
            SystemRandom().random,
            lambda some, at_us: any(classes.calendar(symbol).is_open(at_us) for symbol in some),
            runtime.record,
        )
        self._workers: Sequence[Link | Poller]
        if isinstance(adapter, PolledAdapter):
            client = RestClient(adapter.name, gate_of(adapter.name, adapter.limits, now_us), settings)
            self._workers = [Poller(adapter, symbols, client, around)]
        else:
            dial = dial or web_socket_dial(settings, now_us)
            self._workers = [Link(adapter, shard, dial, around) for shard in shards(adapter, symbols)]
        self._stopped = runtime.stopped
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._began = threading.Event()
        # In the context of its maker: log lines say which part they are of.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name=f"provider-{adapter.name}", daemon=True
        )

    def start(self) -> None:
        """Begins to connect."""
        self._thread.start()
        self._began.wait()

    def take(self, timeout_s: float) -> Taken[Delivery | Notice]:
        """What has come, in its order; waits for the first of it for at most ``timeout_s``.

        Raises ConfigurationError where the provider refuses us for good."""
        if not self._began.is_set():
            self.start()
        taken = self._handover.take(timeout_s, MOST_AT_ONCE)
        self._counters.waiting(self._handover.weight)
        if not taken.items and self._failure is not None:
            if isinstance(self._failure, TickstreamError):
                raise self._failure
            raise UnavailableError(
                f"the connection to {self.adapter.name} has failed in a way that is not foreseen:"
                f" {type(self._failure).__name__}; start the producer again"
            ) from self._failure
        return taken

    def close(self) -> None:
        """Ends all connections."""
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # the thread that takes must learn of it, whatever it is
            self._failure = error
        finally:
            self._began.set()
            self._handover.close()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._began.set()
        self._leave_out(frozenset(self._stopped.since))  # before the first subscription
        tasks = [asyncio.create_task(worker.run()) for worker in self._workers]
        forget = self._stopped.watch(partial(_hand_in, self._loop, self._leave_out))
        try:
            await asyncio.gather(*tasks)
        finally:
            forget()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _leave_out(self, symbols: frozenset[str]) -> None:
        for worker in self._workers:
            worker.leave_out(symbols)


def _hand_in(
    loop: asyncio.AbstractEventLoop, take: Callable[[frozenset[str]], None], symbols: frozenset[str]
) -> None:
    """From another thread to the loop's."""
    loop.call_soon_threadsafe(take, symbols)


def shards(adapter: Adapter, symbols: Sequence[str]) -> list[Sequence[str]]:
    """The symbols of each connection. Raises ConfigurationError for more than the provider serves."""
    limits = adapter.limits
    most = limits.symbols * limits.connections
    if len(symbols) > most:
        raise ConfigurationError(
            f"{adapter.name} serves at most {most} symbols, and SYMBOLS has {len(symbols)}: name fewer"
        )
    return [symbols[start : start + limits.symbols] for start in range(0, len(symbols), limits.symbols)]


def patience_of(settings: ProviderSettings) -> Patience:
    """The settings, as a link takes them."""
    return Patience(
        handshake=settings.provider_handshake_seconds,
        silence=settings.provider_silence_seconds,
        ping=settings.provider_ping_seconds,
        pong=settings.provider_ping_seconds,
        healthy=settings.provider_healthy_seconds,
        backoff=settings.provider_backoff_seconds,
        backoff_cap=settings.provider_backoff_cap_seconds,
    )
