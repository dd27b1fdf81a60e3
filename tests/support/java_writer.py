"""What the store job does in the JVM, without Flink: a process that makes rows of trades and writes rows to
Cassandra, by the classes of jobs/java."""

import base64
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from docker.local.flink_libraries import compile_java
from docker.local.java import find_jdk
from docker.local.settings import PROJECT
from jobs.sinks.inserts import BRONZE, INSERTS, SILVER
from schemas.settings import CassandraSettings
from schemas.tables import TRADE_SHARDS

PROGRAM = PROJECT / "tests/support/java/WriterProgram.java"


class WriteFailedError(Exception):
    """What the writer says of a write that it gave up."""


class JavaWriter:
    """A running program; see ``java_writer``."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def connect(self, cassandra: CassandraSettings, retry_seconds: int, port: int | None = None) -> None:
        """Opens the writer's session; ``port``: another than Cassandra's own."""
        for insert in INSERTS:
            self._ask("insert", insert.values, insert.partition, insert.ordered_key, insert.statement)
        self._ask(
            "connect", cassandra.cassandra_hosts, port or cassandra.cassandra_port,
            cassandra.cassandra_datacenter, cassandra.cassandra_keyspace, retry_seconds,
        )  # fmt: skip

    def write(self, rows: Iterable[bytes]) -> None:
        """Returns when all of them are acknowledged. Raises WriteFailedError."""
        self._ask("write", _text(b"".join(rows)))

    def add(self, rows: Iterable[bytes]) -> None:
        """Without sending what is less than a batch."""
        self._ask("add", _text(b"".join(rows)))

    def send(self) -> None:
        """What has been added, without waiting for answers."""
        self._ask("send")

    def finish(self) -> None:
        """As ``write`` does with what has been added."""
        self._ask("finish")

    def set_rules(self, schema_id: int, fields: list[str], symbols: str, bounds: tuple[int, float]) -> None:
        """What ``trade_rows`` takes for a trade; ``bounds``: longest name, largest amount."""
        self._ask(
            "rules",
            schema_id,
            ";".join(fields),
            symbols,
            *bounds,
            0,
            BRONZE.number,
            SILVER.number,
            TRADE_SHARDS,
        )

    def trade_rows(self, partition: int, offset: int, payload: bytes) -> bytes:
        """The rows of a trade that is beyond doubt; nothing of another record."""
        return base64.b64decode(self._ask("trade", partition, offset, _text(payload)))

    def _ask(self, *command: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\t".join(map(str, command)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().rstrip("\n")
        if answer.startswith("error "):
            raise WriteFailedError(answer.removeprefix("error "))
        return answer


@contextmanager
def java_writer(environment: Mapping[str, str]) -> Iterator[JavaWriter]:
    """``environment``: with FLINK_LIB_DIR."""
    jdk, libraries = find_jdk(environment), Path(environment["FLINK_LIB_DIR"])
    assert jdk is not None
    with TemporaryDirectory() as folder:
        classes = Path(folder)
        compile_java([PROGRAM], libraries, jdk, classes)
        with subprocess.Popen(
            [
                f"{jdk}/bin/java",
                "-XX:+UseSerialGC",
                "-cp",
                f"{classes}:{libraries}/*",
                "tickstream.WriterProgram",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
        ) as process:
            try:
                yield JavaWriter(process)
            finally:
                assert process.stdin is not None
                process.stdin.close()
                process.wait(30)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
