package tickstream;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.types.Row;

/** What some trades of one symbol and source add up to. */
final class Slice {
    /** What is a sum, by the columns of the trades. */
    static final List<String> SUMS = List.of(
            "volume_units", "volume_billionths", "notional_units", "notional_billionths", "counts", "skewed");

    private static final List<String> NAMES = List.of(
            "symbol", "source", "event_time", "first_key", "last_key", "high", "low", "volume_units",
            "volume_billionths", "notional_units", "notional_billionths", "trades", "skewed", "events", "delay",
            "correctable", "log", "from_partition", "from_offset", "payload");

    /** The columns of SLICE_COLUMNS in jobs/flink/bar_function.py. */
    static final TypeInformation<Row> TYPE = Types.ROW_NAMED(
            NAMES.toArray(String[]::new),
            Types.STRING, Types.STRING, Types.LONG, Types.STRING, Types.STRING, Types.DOUBLE, Types.DOUBLE, Types.LONG,
            Types.LONG, Types.LONG, Types.LONG, Types.LONG, Types.LONG, Types.LONG, Types.LONG,
            Types.BOOLEAN, Types.STRING, Types.INT, Types.LONG, Types.PRIMITIVE_ARRAY(Types.BYTE));

    private final TradeColumns columns;
    private final long[] sums = new long[SUMS.size()];
    private StringData source;
    private boolean correctable;
    private long eventTime = Long.MAX_VALUE;
    private long delay = Long.MAX_VALUE;
    private StringData firstKey;
    private StringData lastKey;
    private Double high;
    private Double low;
    private long events;
    private List<String> log;
    private int partition;
    private long offset;

    Slice(TradeColumns columns) {
        this.columns = columns;
    }

    void add(RowData trade) {
        if (events == 0) {
            source = trade.getString(columns.source);
            correctable = trade.getBoolean(columns.correctable);
        }
        events++;
        eventTime = Math.min(eventTime, trade.getLong(columns.eventTime));
        delay = Math.min(delay, trade.getLong(columns.delay));
        for (int sum = 0; sum < sums.length; sum++) {
            sums[sum] += trade.getLong(columns.sums[sum]);
        }
        addPrice(trade);
        if (!trade.isNullAt(columns.log)) {
            log = log == null ? new ArrayList<>() : log;
            log.add(trade.getString(columns.log).toString());
        }
        partition = Math.max(partition, trade.getInt(columns.partition));
        offset = Math.max(offset, trade.getLong(columns.offset));
    }

    private void addPrice(RowData trade) {
        if (!trade.isNullAt(columns.orderKey)) {
            StringData key = trade.getString(columns.orderKey);
            firstKey = firstKey == null || key.compareTo(firstKey) < 0 ? key : firstKey;
            lastKey = lastKey == null || key.compareTo(lastKey) > 0 ? key : lastKey;
        }
        if (!trade.isNullAt(columns.price)) {
            double price = trade.getDouble(columns.price);
            high = high == null || price > high ? price : high;
            low = low == null || price < low ? price : low;
        }
    }

    /** A row of {@link #TYPE}; {@code payload} is that of a trade by itself, or null. */
    Row row(String symbol, byte[] payload) {
        Row row = Row.withPositions(NAMES.size());
        int at = 0;
        row.setField(at++, symbol);
        row.setField(at++, source.toString());
        row.setField(at++, eventTime);
        row.setField(at++, firstKey == null ? null : firstKey.toString());
        row.setField(at++, lastKey == null ? null : lastKey.toString());
        row.setField(at++, high);
        row.setField(at++, low);
        for (long sum : sums) {
            row.setField(at++, sum);
        }
        row.setField(at++, events);
        row.setField(at++, delay);
        row.setField(at++, correctable);
        row.setField(at++, log == null ? null : String.join("\n", log));
        row.setField(at++, partition);
        row.setField(at++, offset);
        row.setField(at, payload);
        return row;
    }
}
