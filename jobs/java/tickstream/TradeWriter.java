package tickstream;

import java.util.List;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.RowData;

/**
 * Writes trades that are beyond doubt (see {@link PlainTrade}) to bronze and silver; hands on every other record,
 * which Python makes rows of, but for those without a value.
 */
public final class TradeWriter extends WritingOperator {
    private static final long serialVersionUID = 1;

    private final TradeRules rules;
    private final int bronze;
    private final int silver;
    private final int shards;
    private final int payloadAt;
    private final int partitionAt;
    private final int offsetAt;
    private final int timeAt;
    private transient PlainTrade trade;
    private transient TradeRows rows;

    private TradeWriter(
            CassandraAccess access, List<Insert> inserts, TradeRules rules, Layout layout, List<String> columns) {
        super(access, inserts);
        this.rules = rules;
        bronze = layout.bronze();
        silver = layout.silver();
        shards = layout.shards();
        payloadAt = columns.indexOf("payload");
        partitionAt = columns.indexOf("partition");
        offsetAt = columns.indexOf("offset");
        timeAt = columns.indexOf("record_time");
    }

    /**
     * Where trades go to.
     *
     * @param bronze number of the insert into bronze, silver: of that into silver
     * @param shards of the symbols, in each minute
     */
    public record Layout(int bronze, int silver, int shards) {}

    /** What is left of a table of the records of trades' topic, with its columns. */
    public static DataStream<RowData> of(
            StreamTableEnvironment tables,
            String table,
            CassandraAccess access,
            List<Insert> inserts,
            TradeRules rules,
            Layout layout) {
        return after(
                tables, table, "trades", columns -> new TradeWriter(access, inserts, rules, layout, columns));
    }

    @Override
    public void open() throws Exception {
        super.open();
        trade = new PlainTrade(rules);
        rows = new TradeRows(bronze, silver, shards);
    }

    @Override
    public void processElement(StreamRecord<RowData> record) throws Exception {
        RowData row = record.getValue();
        if (row.isNullAt(payloadAt)) {
            return; // a heartbeat
        }
        byte[] payload = row.getBinary(payloadAt);
        boolean plain = trade.read(payload)
                && trade.eventTime / 1000 == row.getTimestamp(timeAt, 3).getMillisecond();
        if (plain) {
            int bytes = rows.make(trade, row.getInt(partitionAt), row.getLong(offsetAt), payload);
            write(rows.data(), 0, bytes);
        } else {
            handOn(record);
        }
    }
}
