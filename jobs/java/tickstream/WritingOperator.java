package tickstream;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.catalog.ResolvedSchema;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.DataType;

/**
 * Writes rows to Cassandra, and hands on what is no row. What comes within a moment goes together; what came before
 * a checkpoint's barrier is stored when the barrier passes.
 */
abstract class WritingOperator extends AbstractStreamOperator<RowData>
        implements OneInputStreamOperator<RowData, RowData> {
    private static final long serialVersionUID = 1;
    /** So long the first row waits for others: with many a batch is full sooner. */
    private static final long MOMENT_MS = 2;

    private final CassandraAccess access;
    private final ArrayList<Insert> inserts;
    private transient CassandraWriter writer;
    private transient boolean alarm;

    WritingOperator(CassandraAccess access, List<Insert> inserts) {
        this.access = access;
        this.inserts = new ArrayList<>(inserts);
    }

    /**
     * What an operator hands on of a table, with its columns.
     *
     * @param name of the operator, in the graph and in its state
     * @param operator of the names of the columns
     */
    static DataStream<RowData> after(
            StreamTableEnvironment tables, String table, String name, Function<List<String>, WritingOperator> operator) {
        ResolvedSchema schema = tables.from(table).getResolvedSchema();
        DataType type = schema.toSourceRowDataType();
        DataStream<RowData> rows = tables.toDataStream(tables.from(table), type.bridgedTo(RowData.class));
        InternalTypeInfo<RowData> same = InternalTypeInfo.of(type.getLogicalType());
        return rows.transform(name, same, operator.apply(schema.getColumnNames())).uid(name);
    }

    /** Takes the rows in a part of {@code data}, as a {@link RowBatch} has them. */
    final void write(byte[] data, int begin, int end) throws InterruptedException {
        writer.add(data, begin, end);
        if (!alarm && !writer.isEmpty()) {
            alarm = true;
            long now = getProcessingTimeService().getCurrentProcessingTime();
            getProcessingTimeService().registerTimer(now + MOMENT_MS, time -> {
                alarm = false;
                writer.send();
            });
        }
    }

    final void handOn(StreamRecord<RowData> record) {
        output.collect(record);
    }

    @Override
    public void open() throws Exception {
        super.open();
        writer = new CassandraWriter(access, inserts);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) throws Exception {
        writer.finish();
        super.prepareSnapshotPreBarrier(checkpoint);
    }

    @Override
    public void finish() throws Exception {
        writer.finish();
        super.finish();
    }

    @Override
    public void close() throws Exception {
        if (writer != null) {
            writer.close();
        }
        super.close();
    }
}
