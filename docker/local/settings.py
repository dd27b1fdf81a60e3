"""Settings of the local system: its folder, ports and memory. Everything listens on loopback only."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from schemas.settings import EnvironmentSettings, Port

PROJECT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
REGISTRY_PATH = "/apis/ccompat/v7"


class LocalSettings(EnvironmentSettings):
    state_dir: Path = Field(
        Path(".tickstream"), description="folder of all state, logs, pids and programs of the local system"
    )
    lib_dir: Path | None = Field(
        None, description="folder of the servers' programs, taken from Maven; empty: STATE_DIR/lib"
    )
    kafka_port: Port = Field(9092, description="port of Kafka")
    kafka_controller_port: Port = Field(9093, description="port of Kafka's controller")
    registry_port: Port = Field(8082, description="port of the schema registry")
    cassandra_port: Port = Field(9042, description="CQL port")
    cassandra_storage_port: Port = Field(7000, description="port between Cassandra nodes")
    flink_ui_port: Port = Field(8081, description="port of Flink's Web UI and REST API")
    flink_rpc_port: Port = Field(6123, description="port between Flink's JobManager and TaskManagers")
    flink_metrics_port: Port = Field(9249, description="Prometheus metrics of the JobManager")
    taskmanager_metrics_port: Port = Field(9250, description="Prometheus metrics of the TaskManager")
    api_port: Port = Field(8000, description="port that the API listens on")
    api_tls_cert: str = Field("", description="the API's certificate: it is reached by https then")
    producer_metrics_port: Port = Field(9100, description="port that the metrics are served on")
    flink_web_submit: bool = Field(
        False,
        description="whether Flink's Web UI takes programs to run, ours among them: then whoever reaches its"
        " port can run anything as you",
    )
    kafka_heap_mb: int = Field(512, ge=256, description="Java heap of Kafka")
    registry_heap_mb: int = Field(256, ge=128, description="Java heap of the schema registry")
    cassandra_heap_mb: int = Field(768, ge=512, description="Java heap of Cassandra")
    jobmanager_memory_mb: int = Field(896, ge=768, description="all memory of the JobManager")
    taskmanager_memory_mb: int = Field(
        2304,
        ge=1536,
        description="memory of the TaskManager, without its Python workers; some 25 bytes for each trade of"
        " DEDUP_MEMORY_SECONDS are of it",
    )

    @property
    def ports(self) -> Mapping[str, int]:
        """Setting -> port, for every port that the local system listens on."""
        names = [name for name in type(self).model_fields if name.endswith("_port")]
        return {name.upper(): getattr(self, name) for name in names}

    @property
    def memory_mb(self) -> int:
        """What the whole system takes: heaps, what a JVM needs beside its heap, and the Python processes."""
        servers = 1.25 * self.kafka_heap_mb + 1.6 * self.registry_heap_mb
        servers += 1.25 * self.cassandra_heap_mb + 450  # its memtables lie outside of the heap
        python_mb = 4 * 250
        return int(servers + self.jobmanager_memory_mb + self.taskmanager_memory_mb) + python_mb

    @property
    def kafka_address(self) -> str:
        return f"{HOST}:{self.kafka_port}"

    @property
    def registry_url(self) -> str:
        return f"http://{HOST}:{self.registry_port}{REGISTRY_PATH}"

    @property
    def registry_ready_url(self) -> str:
        """Answers with success once the registry has read what it holds; it takes requests before that."""
        return f"http://{HOST}:{self.registry_port}/health/ready"

    @property
    def flink_url(self) -> str:
        return f"http://{HOST}:{self.flink_ui_port}"

    @property
    def api_url(self) -> str:
        return f"{'https' if self.api_tls_cert else 'http'}://{HOST}:{self.api_port}"

    @property
    def producer_metrics_url(self) -> str:
        return f"http://{HOST}:{self.producer_metrics_port}/metrics"

    @property
    def folders(self) -> "Folders":
        root = (PROJECT / self.state_dir).resolve()
        return Folders(root, (PROJECT / self.lib_dir).resolve() if self.lib_dir else root / "lib")

    def addresses(self) -> dict[str, str]:
        """The settings by which every part finds the servers of the local system."""
        folders = self.folders
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_address,
            "SCHEMA_REGISTRY_URL": self.registry_url,
            "CASSANDRA_HOSTS": HOST,
            "CASSANDRA_PORT": str(self.cassandra_port),
            "FLINK_REST_URL": self.flink_url,
            "API_HOST": HOST,
            "API_PORT": str(self.api_port),
            "API_URL": self.api_url,
            "PRODUCER_METRICS_HOST": HOST,
            "PRODUCER_METRICS_PORT": str(self.producer_metrics_port),
            "PRODUCER_METRICS_URL": self.producer_metrics_url,
            "FLINK_LIB_DIR": str(folders.lib / "flink"),
            "CHECKPOINT_DIR": str(folders.flink / "checkpoints"),
            "SAVEPOINT_DIR": str(folders.flink / "savepoints"),
        }


class Folders:
    """The state folder. ``data`` and ``flink`` are what must survive; ``lib`` can be fetched again."""

    def __init__(self, root: Path, lib: Path) -> None:
        self.root = root
        self.lib = lib
        self.data = root / "data"
        self.flink = root / "flink"
        self.logs = root / "logs"
        self.conf = root / "conf"
        self.run = root / "run"

    def __iter__(self) -> Iterator[Path]:
        return iter((self.root, self.lib, self.data, self.flink, self.logs, self.conf, self.run))

    def create(self) -> None:
        for folder in self:
            folder.mkdir(parents=True, exist_ok=True)

    def log(self, part: str) -> Path:
        """The log file of a part."""
        return self.logs / f"{part}.log"
