package tickstream;

import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.BatchStatementBuilder;
import com.datastax.oss.driver.api.core.cql.BatchType;
import com.datastax.oss.driver.api.core.cql.BoundStatementBuilder;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.apache.flink.table.runtime.util.collections.LongHashSet;

/**
 * Rows that go to Cassandra together: as bytes for as long as they are kept, as the driver's statements only when
 * they are sent. Each row is the number of its insert (two bytes) and its values, each after its length (four).
 */
final class RowBatch {
    private static final int INITIAL_BYTES = 4096;

    final ByteBuffer routingKey;
    private LongHashSet keys = new LongHashSet();
    private byte[] rows = new byte[INITIAL_BYTES];
    private int size;
    private long timestamp;

    /** {@code routingKey}: of a partition whose replicas may coordinate it. */
    RowBatch(ByteBuffer routingKey) {
        this.routingKey = routingKey;
    }

    int size() {
        return size;
    }

    /**
     * Takes in a row, unless there is one with the same key already: within a batch Cassandra would mix the two.
     * {@code key} is 0 where that does not matter.
     */
    boolean add(byte[] row, int begin, int end, long key) {
        if (key != 0 && keys.contains(key)) {
            return false;
        }
        if (key != 0) {
            keys.add(key);
        }
        add(row, begin, end);
        return true;
    }

    /** Takes in another's rows, unless it would have more than {@code most} bytes then. */
    boolean add(RowBatch other, int most) {
        if (size + other.size > most) {
            return false;
        }
        add(other.rows, 0, other.size);
        return true;
    }

    private void add(byte[] row, int begin, int end) {
        int length = end - begin;
        if (size + length > rows.length) {
            rows = Arrays.copyOf(rows, Math.max(2 * rows.length, size + length));
        }
        System.arraycopy(row, begin, rows, size, length);
        size += length;
    }

    /** Nothing is added any more. {@code timestamp}: with which it is written (us), however often that is tried. */
    void close(long timestamp) {
        this.timestamp = timestamp;
        rows = Arrays.copyOf(rows, size);
        keys = null;
    }

    /** Unlogged, and idempotent: our rows are written whole. */
    BatchStatement statement(List<PreparedStatement> inserts) {
        BatchStatementBuilder batch = BatchStatement.builder(BatchType.UNLOGGED);
        ByteBuffer left = ByteBuffer.wrap(rows);
        while (left.hasRemaining()) {
            BoundStatementBuilder row = inserts.get(left.getShort()).boundStatementBuilder();
            for (int value = 0; value < row.size(); value++) {
                int length = left.getInt();
                row.setBytesUnsafe(value, length < 0 ? null : left.slice(left.position(), length));
                left.position(left.position() + Math.max(0, length));
            }
            batch.addStatement(row.build());
        }
        return batch.setRoutingKey(routingKey)
                .setIdempotence(true)
                .setQueryTimestamp(timestamp)
                .build();
    }
}
