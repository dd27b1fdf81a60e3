package tickstream;

import com.datastax.oss.driver.api.core.AllNodesFailedException;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.CqlSessionBuilder;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.metadata.NodeStateListener;
import java.io.Serializable;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where Cassandra is, as the settings have it.
 *
 * @param retrySeconds how long it is waited for, and a write is tried
 */
public record CassandraAccess(
        List<String> hosts,
        int port,
        String datacenter,
        String keyspace,
        String username,
        String password,
        int retrySeconds)
        implements Serializable {
    private static final Logger LOG = LoggerFactory.getLogger(CassandraAccess.class);
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(10);

    /** No secret in a log. */
    @Override
    public String toString() {
        return "Cassandra at " + hosts + ":" + port + ", keyspace " + keyspace;
    }

    /** A session that tells {@code listener} of its nodes. Waits for Cassandra as long as a write would. */
    CqlSession connect(NodeStateListener listener) throws InterruptedException {
        long giveUpAt = System.nanoTime() + Duration.ofSeconds(retrySeconds).toNanos();
        while (true) {
            try {
                return builder(listener).build();
            } catch (AllNodesFailedException error) {
                if (System.nanoTime() > giveUpAt) {
                    throw new IllegalStateException(
                            "Cassandra does not answer at " + hosts + ":" + port + " (datacenter " + datacenter
                                    + "): start it, or set CASSANDRA_HOSTS, CASSANDRA_PORT, CASSANDRA_DATACENTER,"
                                    + " CASSANDRA_USERNAME and CASSANDRA_PASSWORD",
                            error);
                }
                LOG.warn("cassandra_unavailable error={}", error.getMessage());
                Thread.sleep(1000);
            }
        }
    }

    private CqlSessionBuilder builder(NodeStateListener listener) {
        ClassLoader classes = CassandraAccess.class.getClassLoader();
        CqlSessionBuilder builder = CqlSession.builder()
                .withClassLoader(classes)
                .withConfigLoader(DriverConfigLoader.programmaticBuilder(classes)
                        .withString(DefaultDriverOption.PROTOCOL_VERSION, "V5")
                        .withString(DefaultDriverOption.REQUEST_CONSISTENCY, "LOCAL_QUORUM")
                        .withDuration(DefaultDriverOption.REQUEST_TIMEOUT, REQUEST_TIMEOUT)
                        .withDuration(DefaultDriverOption.CONNECTION_INIT_QUERY_TIMEOUT, REQUEST_TIMEOUT)
                        .withDuration(DefaultDriverOption.RECONNECTION_BASE_DELAY, Duration.ofMillis(500))
                        .withDuration(DefaultDriverOption.RECONNECTION_MAX_DELAY, Duration.ofSeconds(10))
                        // Which node has what is told by the keyspace's replication; other schemas are no concern.
                        .withStringList(DefaultDriverOption.METADATA_SCHEMA_REFRESHED_KEYSPACES, List.of(keyspace))
                        .withInt(DefaultDriverOption.NETTY_IO_SIZE, 1)
                        .withInt(DefaultDriverOption.NETTY_ADMIN_SIZE, 1)
                        .build())
                .withLocalDatacenter(datacenter)
                .withKeyspace('"' + keyspace + '"')
                .withNodeStateListener(listener);
        hosts.forEach(host -> builder.addContactPoint(new InetSocketAddress(host, port)));
        return username.isEmpty() ? builder : builder.withAuthCredentials(username, password);
    }
}
