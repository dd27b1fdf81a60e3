package tickstream;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.metadata.Node;
import com.datastax.oss.driver.api.core.metadata.NodeStateListenerBase;
import com.datastax.oss.driver.api.core.metadata.TokenMap;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.apache.flink.shaded.guava33.com.google.common.hash.HashFunction;
import org.apache.flink.shaded.guava33.com.google.common.hash.Hashing;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way into Cassandra: rows of one node together in unlogged batches, many batches at once; {@link #finish}
 * returns once every one of them is acknowledged, so that a checkpoint after it covers them. Rows have
 * deterministic keys and are written whole: writing them again changes nothing.
 *
 * <p>What a request costs, here and in Cassandra, hardly depends on how much is in it, and live bars are of many
 * partitions with a row or two each. So a batch has whatever partitions have the same first replica, which can
 * coordinate it without asking others to.
 *
 * <p>What is acknowledged is not yet safe from the death of a Cassandra process: as shipped, Cassandra marks its
 * commit log ten times a second, and after a kill it replays the log up to the last mark. What came after the mark
 * may be under a checkpoint already, and would never be written again. So the writer keeps what was acknowledged
 * last, and writes it again when a node has been away, with the timestamps that it had: what is newer stays.
 *
 * <p>Rows are added, sent and waited for by one thread; answers, and what is known of nodes, come by the driver's.
 */
final class CassandraWriter extends NodeStateListenerBase implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(CassandraWriter.class);
    private static final HashFunction HASH = Hashing.murmur3_128();
    /** Of rows in one batch, some fifty trades. As shipped, Cassandra refuses more than 50 KiB. */
    private static final int MOST_BATCH_BYTES = 40 * 1024;
    /**
     * Rows of one partition are one mutation, which costs Cassandra more than each of them: so many are gathered
     * before any are sent.
     */
    private static final int MOST_GATHERED_BYTES = 8 * MOST_BATCH_BYTES;
    /** Batches sent and not yet acknowledged; the next one waits. */
    private static final int MOST_IN_FLIGHT = 64;
    /**
     * So long after its acknowledgement a write may be without a mark in the commit log. Cassandra's thread sets one
     * every 0.1 s; the rest is for a machine that has no time for it.
     */
    private static final long UNMARKED_NS = Duration.ofSeconds(2).toNanos();

    private static final long FIRST_PAUSE_MS = 100;
    private static final long LONGEST_PAUSE_MS = 5000;

    private final List<Insert> inserts;
    private final CqlSession session;
    private final List<PreparedStatement> prepared;
    private final int retrySeconds;
    /** What has been added and is not sent, by partition. */
    private final Map<ByteBuffer, RowBatch> gathered = new LinkedHashMap<>();

    private int gatheredBytes;
    private long lastTimestamp;

    // From here on by any thread that holds the lock.
    private final ArrayDeque<Acknowledged> unmarked = new ArrayDeque<>();
    private final Map<Node, List<RowBatch>> lost = new HashMap<>();
    private int inFlight;
    private long toldOfRetries = System.nanoTime() - Duration.ofSeconds(2).toNanos();
    private RuntimeException failure;

    private record Acknowledged(long at, RowBatch batch) {}

    CassandraWriter(CassandraAccess access, List<Insert> inserts) throws InterruptedException {
        this.inserts = inserts;
        retrySeconds = access.retrySeconds();
        session = access.connect(this);
        try {
            prepared = inserts.stream().map(insert -> session.prepare(insert.cql())).toList();
        } catch (RuntimeException error) {
            session.close();
            throw error;
        }
    }

    /** Adds the rows in a part of {@code data}, as a {@link RowBatch} has them; sends what is full of it. */
    void add(byte[] data, int begin, int end) throws InterruptedException {
        ByteBuffer left = ByteBuffer.wrap(data, begin, end - begin);
        while (left.hasRemaining()) {
            int row = left.position();
            Insert insert = inserts.get(left.getShort());
            int partition = pass(left, insert.partition());
            int key = insert.key() == 0 ? row : pass(left, insert.key() - insert.partition());
            pass(left, insert.values() - Math.max(insert.key(), insert.partition()));
            ByteBuffer routingKey = routingKey(data, row + Short.BYTES, partition, insert.partition());
            // Its table is part of the key: the number of the insert.
            long hash = key == row ? 0 : HASH.hashBytes(data, row, key - row).asLong();
            add(routingKey, data, row, left.position(), hash);
        }
    }

    private void add(ByteBuffer routingKey, byte[] data, int begin, int end, long key) throws InterruptedException {
        RowBatch batch = gathered.computeIfAbsent(routingKey, RowBatch::new);
        if (!batch.add(data, begin, end, key)) {
            sendGathered(batch); // the later one counts, so it has to have a later timestamp
            batch = gathered.computeIfAbsent(routingKey, RowBatch::new);
            batch.add(data, begin, end, key);
        }
        gatheredBytes += end - begin;
        if (batch.size() >= MOST_BATCH_BYTES) {
            sendGathered(batch);
        }
        if (gatheredBytes >= MOST_GATHERED_BYTES) {
            send();
        }
    }

    boolean isEmpty() {
        return gathered.isEmpty();
    }

    /** Sends what has been added. */
    void send() throws InterruptedException {
        Map<Optional<Node>, RowBatch> ofNodes = new HashMap<>();
        for (RowBatch batch : List.copyOf(gathered.values())) {
            Optional<Node> node = firstReplica(batch.routingKey);
            RowBatch joined = ofNodes.get(node);
            if (joined == null || !joined.add(batch, MOST_BATCH_BYTES)) {
                ofNodes.put(node, batch);
                if (joined != null) {
                    send(joined);
                }
            }
        }
        gathered.clear();
        gatheredBytes = 0;
        for (RowBatch batch : ofNodes.values()) {
            send(batch);
        }
    }

    private void sendGathered(RowBatch batch) throws InterruptedException {
        gathered.remove(batch.routingKey);
        gatheredBytes -= batch.size();
        send(batch);
    }

    /** The same, and returns once all of it is acknowledged. */
    void finish() throws InterruptedException {
        send();
        synchronized (this) {
            while (inFlight > 0 && failure == null) {
                wait();
            }
            check();
        }
    }

    @Override
    public void close() {
        session.close();
    }

    private void send(RowBatch batch) throws InterruptedException {
        synchronized (this) {
            while (inFlight >= MOST_IN_FLIGHT && failure == null) {
                wait();
            }
            check();
            inFlight++;
        }
        long now = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
        lastTimestamp = Math.max(lastTimestamp + 1, now);
        batch.close(lastTimestamp);
        attempt(batch, 0, FIRST_PAUSE_MS);
    }

    private void check() {
        if (failure != null) {
            throw failure;
        }
    }

    /** {@code since}: when it was refused first (ns), 0 if it was not. */
    private void attempt(RowBatch batch, long since, long pauseMs) {
        try {
            session.executeAsync(batch.statement(prepared)).whenComplete((answer, error) -> {
                if (error == null) {
                    acknowledged(batch);
                } else {
                    refused(batch, error instanceof CompletionException ? error.getCause() : error, since, pauseMs);
                }
            });
        } catch (RuntimeException error) {
            fail(error);
        }
    }

    private synchronized void acknowledged(RowBatch batch) {
        long now = System.nanoTime();
        forgetMarked(now);
        unmarked.add(new Acknowledged(now, batch));
        inFlight--;
        notifyAll();
    }

    private void refused(RowBatch batch, Throwable error, long since, long pauseMs) {
        long now = System.nanoTime();
        if (!(error instanceof DriverException)) {
            fail(new IllegalStateException(error));
        } else if (since == 0 || now - since < Duration.ofSeconds(retrySeconds).toNanos()) {
            tellOfRetries(now, error);
            Executor later = CompletableFuture.delayedExecutor(pauseMs, TimeUnit.MILLISECONDS);
            later.execute(() ->
                    attempt(batch, since == 0 ? now : since, Math.min(2 * pauseMs, LONGEST_PAUSE_MS)));
        } else {
            fail(new IllegalStateException(
                    "Cassandra has not taken a write for " + retrySeconds + " s (" + error
                            + "); the job restarts from its last checkpoint and tries again",
                    error));
        }
    }

    /** Once a second: when there is no Cassandra all that is in flight is refused together. */
    private synchronized void tellOfRetries(long now, Throwable error) {
        if (now - toldOfRetries > Duration.ofSeconds(1).toNanos()) {
            toldOfRetries = now;
            LOG.warn("cassandra_write_retried in_flight={} error={}", inFlight, error.toString());
        }
    }

    private synchronized void fail(RuntimeException error) {
        failure = error;
        notifyAll();
    }

    private void forgetMarked(long now) {
        while (!unmarked.isEmpty() && now - unmarked.peek().at() > UNMARKED_NS) {
            unmarked.poll();
        }
    }

    @Override
    public synchronized void onDown(Node node) {
        forgetMarked(System.nanoTime());
        lost.put(node, unmarked.stream().map(Acknowledged::batch).toList());
    }

    /** The others have what it had. */
    @Override
    public synchronized void onRemove(Node node) {
        lost.remove(node);
    }

    /** Nobody may ever write again: what the node may have lost is not left for the next one who does. */
    @Override
    public void onUp(Node node) {
        List<RowBatch> again;
        synchronized (this) {
            again = lost.remove(node);
            if (again == null) {
                return;
            }
            inFlight += again.size();
        }
        LOG.info("cassandra_written_again batches={} why=\"{} was away\"", again.size(), node.getEndPoint());
        again.forEach(batch -> attempt(batch, 0, FIRST_PAUSE_MS));
    }

    private Optional<Node> firstReplica(ByteBuffer routingKey) {
        Optional<TokenMap> tokens = session.getMetadata().getTokenMap();
        Set<Node> replicas = tokens.isEmpty()
                ? Set.of()
                : tokens.get().getReplicas(session.getKeyspace().orElseThrow(), routingKey);
        Iterator<Node> first = replicas.iterator();
        return first.hasNext() ? Optional.of(first.next()) : Optional.empty();
    }

    /** The binary form of a partition key (native protocol v5): its one value, or each between its length and 0. */
    private static ByteBuffer routingKey(byte[] data, int begin, int end, int values) {
        if (values == 1) {
            return ByteBuffer.wrap(Arrays.copyOfRange(data, begin + Integer.BYTES, end));
        }
        ByteBuffer from = ByteBuffer.wrap(data, begin, end - begin);
        ByteBuffer key = ByteBuffer.allocate(end - begin - values);
        for (int value = 0; value < values; value++) {
            int length = from.getInt();
            key.putShort((short) length).put(from.slice(from.position(), length)).put((byte) 0);
            from.position(from.position() + length);
        }
        return key.flip();
    }

    /** Passes over so many values; where it comes to. */
    private static int pass(ByteBuffer row, int values) {
        for (int value = 0; value < values; value++) {
            int length = row.getInt();
            row.position(row.position() + Math.max(0, length));
        }
        return row.position();
    }
}
