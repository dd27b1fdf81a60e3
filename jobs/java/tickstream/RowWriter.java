package tickstream;

import java.util.List;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.RowData;

/** Writes the rows that Python has made, and hands on what has a dead letter. */
public final class RowWriter extends WritingOperator {
    private static final long serialVersionUID = 1;

    private final int rowsAt;
    private final int letterAt;

    private RowWriter(CassandraAccess access, List<Insert> inserts, List<String> columns) {
        super(access, inserts);
        rowsAt = columns.indexOf("rows");
        letterAt = columns.indexOf("letter");
    }

    /** The letters of a view with columns {@code rows}, as a {@link RowBatch} has them, and {@code letter}, both may
     * be null; all columns. */
    public static DataStream<RowData> of(
            StreamTableEnvironment tables, String view, CassandraAccess access, List<Insert> inserts) {
        return after(tables, view, "rows", columns -> new RowWriter(access, inserts, columns));
    }

    @Override
    public void processElement(StreamRecord<RowData> record) throws Exception {
        RowData row = record.getValue();
        if (!row.isNullAt(rowsAt)) {
            byte[] rows = row.getBinary(rowsAt);
            write(rows, 0, rows.length);
        }
        if (!row.isNullAt(letterAt)) {
            handOn(record);
        }
    }
}
