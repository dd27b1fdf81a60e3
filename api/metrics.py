"""Every metric of the API, in one list.

tickstream_api_requests_total{method, route, status}   answered requests; route is the template or "unmatched"
tickstream_api_request_seconds{route}                  time from the request to the end of its answer
tickstream_api_queries_total{statement, outcome}       queries to Cassandra; outcome ok or failed
tickstream_api_query_seconds{statement}                time of a query, waiting for a free slot included
tickstream_api_queries_in_flight                       queries that wait for a slot or for Cassandra
tickstream_api_part_ready{part}                        1 or 0 as /ready saw it last
and process_* (CPU, memory, open files) of this process
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class ApiMetrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "tickstream_api_requests_total",
            "Answered requests",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "tickstream_api_request_seconds",
            "Time from the request to the end of its answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queries = Counter(
            "tickstream_api_queries_total",
            "Queries to Cassandra",
            ["statement", "outcome"],
            registry=self.registry,
        )
        self.query_seconds = Histogram(
            "tickstream_api_query_seconds",
            "Time of a query to Cassandra, waiting for a free slot included",
            ["statement"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queries_in_flight = Gauge(
            "tickstream_api_queries_in_flight",
            "Queries that wait for a slot or for Cassandra",
            registry=self.registry,
        )
        self.part_ready = Gauge(
            "tickstream_api_part_ready", "1 or 0 as /ready saw it last", ["part"], registry=self.registry
        )
