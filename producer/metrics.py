"""Every metric of the producer: the one list of their names."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class ProducerMetrics:
    """The metrics of one producer, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        # Events handed to the Kafka client, by kind: trade, correction, quote, gap, dead_letter, heartbeat.
        self.produced = Counter(
            "producer_events_produced", "Events handed to Kafka's client", ["kind"], registry=self.registry
        )
        # Events that Kafka has acknowledged, by the same kinds.
        self.acknowledged = Counter(
            "producer_events_acknowledged", "Events that Kafka acknowledged", ["kind"], registry=self.registry
        )
        # Events that Kafka refused for good, by kind and Kafka's error name.
        self.failed = Counter(
            "producer_delivery_failures",
            "Events that Kafka refused",
            ["kind", "error"],
            registry=self.registry,
        )
        # Events and lines sent to the dead-letter topic, by reason (schemas.validation.REASONS).
        self.dead_letters = Counter(
            "producer_dead_letters", "Refused events, by reason", ["reason"], registry=self.registry
        )
        # Events that wait for an acknowledgement; bounded by PUBLISHER_QUEUE_EVENTS.
        self.queue_depth = Gauge(
            "producer_queue_depth", "Events waiting for Kafka's acknowledgement", registry=self.registry
        )
        # Times that the queue was full, so that the source had to wait.
        self.queue_full = Counter(
            "producer_queue_full", "Times the source waited for room in the queue", registry=self.registry
        )
        # Acknowledged trades a second over the last ten seconds.
        self.rate = Gauge(
            "producer_trades_per_second", "Acknowledged trades a second, reached", registry=self.registry
        )
        # Trades that the simulator left out because it had fallen a second behind its schedule.
        self.missed = Counter(
            "producer_simulator_missed_trades",
            "Simulated trades left out, being behind",
            registry=self.registry,
        )
        # Condition codes without a rule, by provider; other: a provider without rules.
        self.unknown_conditions = Counter(
            "producer_unknown_conditions",
            "Condition codes without a rule, which restrict nothing",
            ["provider"],
            registry=self.registry,
        )
        # Frames that came from a provider, by its name.
        self.provider_frames = Counter(
            "producer_provider_frames", "Frames from a provider", ["provider"], registry=self.registry
        )
        # Items of these frames, counted before anything is made of them.
        self.provider_items = Counter(
            "producer_provider_items", "Items in these frames", ["provider"], registry=self.registry
        )
        # What they were: trade, quote, correction, bar, rejected, control. Together as many as there were
        # items.
        self.provider_outcomes = Counter(
            "producer_provider_outcomes",
            "What the items were",
            ["provider", "outcome"],
            registry=self.registry,
        )
        # Connections that are open and subscribed; of a provider that is asked 1 while it answers.
        self.provider_connections = Gauge(
            "producer_provider_connections", "Open connections", ["provider"], registry=self.registry
        )
        # Connections that were lost, and attempts and requests that failed, by reason (REASONS of
        # providers.socket and providers.request_gate).
        self.provider_disconnects = Counter(
            "producer_provider_disconnects",
            "Lost connections and failed attempts",
            ["provider", "reason"],
            registry=self.registry,
        )
        # Times that reading stopped because the queue was full: the provider then has to wait.
        self.provider_waits = Counter(
            "producer_provider_waits", "Times that reading stopped", ["provider"], registry=self.registry
        )
        # Trades that a provider's own numbering says we have missed.
        self.provider_missed = Counter(
            "producer_provider_missed_trades", "Missed trades", ["provider"], registry=self.registry
        )
        # Symbols that a provider has refused to serve.
        self.provider_refused = Counter(
            "producer_provider_refused_symbols", "Refused symbols", ["provider"], registry=self.registry
        )
        # When a provider sent anything last, seconds since 1970.
        self.provider_heard = Gauge(
            "producer_provider_last_message_timestamp_seconds",
            "Last message of a provider",
            ["provider"],
            registry=self.registry,
        )
        # Items that wait between reading and publishing; bounded by PROVIDER_QUEUE_ITEMS.
        self.provider_queue = Gauge(
            "producer_provider_queue_items", "Items waiting", ["provider"], registry=self.registry
        )
        # Symbols that follow a source now.
        self.following = Gauge(
            "producer_following_symbols", "Symbols that follow the source", ["source"], registry=self.registry
        )
        # Changes of source, one for each symbol, by what was wrong with the one before; return: nothing was.
        self.handovers = Counter(
            "producer_handovers",
            "Changes of the source that a symbol follows",
            ["before", "after", "reason"],
            registry=self.registry,
        )
        # Trades of a source that only stood by at their time: they are not published.
        self.not_followed = Counter(
            "producer_not_followed_trades",
            "Trades of sources that stood by",
            ["source"],
            registry=self.registry,
        )
        # Messages and answers of providers that the recorder has written, and those that it had no room for.
        self.recorded_frames = Counter(
            "producer_recorded_frames", "Messages that were recorded", registry=self.registry
        )
        self.unrecorded_frames = Counter(
            "producer_unrecorded_frames", "Messages that were not recorded", registry=self.registry
        )
        # Requests that a provider's limit has left, below 0: so many wait; and until when it is not asked at
        # all, seconds since 1970, 0: it never asked for a pause.
        self.provider_requests_left = Gauge(
            "producer_provider_requests_left",
            "Requests left of a provider's limit",
            ["provider"],
            registry=self.registry,
        )
        self.provider_paused_until = Gauge(
            "producer_provider_paused_until_timestamp_seconds",
            "When a provider is asked again",
            ["provider"],
            registry=self.registry,
        )
        # Symbols that are stopped by order, and not produced.
        self.stopped_streams = Gauge(
            "producer_stopped_streams", "Symbols stopped by order", registry=self.registry
        )
        # Records of the gap ledger, by reason (schemas.events.GapReason).
        self.gaps = Counter("producer_gaps", "Records of gaps", ["reason"], registry=self.registry)
        # When Kafka last acknowledged any event, seconds since 1970.
        self.last_acknowledged = Gauge(
            "producer_last_acknowledged_timestamp_seconds", "Last acknowledgement", registry=self.registry
        )
        # Event time of a trade -> its acknowledgement; one trade of each batch, live sources only.
        self.latency = Histogram(
            "producer_publish_latency_seconds",
            "Event time to acknowledgement, sampled",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        # Event time of the last heartbeat, seconds since 1970: the stream's clock.
        self.heartbeat_time = Gauge(
            "producer_heartbeat_timestamp_seconds", "Event time of the last heartbeat", registry=self.registry
        )
