package tickstream;

import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;

/**
 * The value of a record of the topic of trades as a row: {@code payload}, the value as it came, and where that
 * is a {@link PlainTrade} the columns that slices are summed from; where it is not, they are null. The columns
 * are those of {@code TRADE} in jobs/flink/decode_functions.py, which says what they mean and makes them of
 * everything else; tests hold both equal.
 */
public final class TradeDeserializer implements DeserializationSchema<RowData> {
    private static final long serialVersionUID = 1;
    private static final double BILLION = 1e9;
    private static final byte[] DIGITS = "0123456789abcdef".getBytes();
    private static final String PAYLOAD = "payload";
    private static final Map<String, Function<TradeDeserializer, Object>> COLUMNS = Map.ofEntries(
            Map.entry("symbol", row -> row.trade.symbol),
            Map.entry("source", row -> row.trade.source),
            Map.entry("trade_id", row -> StringData.fromBytes(row.trade.tradeId)),
            Map.entry("event_time", row -> row.trade.eventTime),
            Map.entry("order_key", row -> row.trade.updatesOpenClose ? row.orderKey() : null),
            Map.entry("price", row -> row.trade.setsHighAndLow() ? row.trade.price : null),
            Map.entry("volume_units", row -> units(row.volume())),
            Map.entry("volume_billionths", row -> billionths(row.volume())),
            Map.entry("notional_units", row -> units(row.notional())),
            Map.entry("notional_billionths", row -> billionths(row.notional())),
            Map.entry("counts", row -> row.trade.setsHighAndLow() || row.trade.updatesVolume ? 1L : 0L),
            Map.entry("skewed", row -> row.skewed() ? 1L : 0L),
            Map.entry("delay", row -> System.currentTimeMillis() * 1000 - row.trade.eventTime),
            Map.entry("correctable", row -> row.trade.correctable),
            Map.entry("log", row -> row.trade.correctable ? row.log() : null));

    private final TradeRules rules;
    private final List<String> columns;
    private final TypeInformation<RowData> type;
    private transient PlainTrade trade;
    private transient Function<TradeDeserializer, Object>[] values;

    public TradeDeserializer(TradeRules rules, List<String> columns, TypeInformation<RowData> type) {
        this.rules = rules;
        this.columns = columns;
        this.type = type;
        for (String column : columns) {
            if (!column.equals(PAYLOAD) && !COLUMNS.containsKey(column)) {
                throw new ValidationException("no column of a trade is " + column);
            }
        }
    }

    @Override
    @SuppressWarnings("unchecked")
    public void open(InitializationContext context) {
        trade = new PlainTrade(rules);
        values = columns.stream().map(COLUMNS::get).toArray(Function[]::new);
    }

    @Override
    public RowData deserialize(byte[] value) {
        GenericRowData row = new GenericRowData(values.length);
        boolean plain = value != null && trade.read(value);
        for (int column = 0; column < values.length; column++) {
            if (values[column] == null) {
                row.setField(column, value);
            } else if (plain) {
                row.setField(column, values[column].apply(this));
            }
        }
        return row;
    }

    @Override
    public boolean isEndOfStream(RowData row) {
        return false;
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return type;
    }

    private double volume() {
        return trade.updatesVolume ? trade.size : 0.0;
    }

    private double notional() {
        return trade.updatesVolume ? trade.price * trade.size : 0.0;
    }

    private static long units(double amount) {
        return (long) Math.floor(amount);
    }

    private static long billionths(double amount) {
        return (long) Math.rint((amount - Math.floor(amount)) * BILLION);
    }

    private boolean skewed() {
        return trade.eventTime - trade.receivedAt > rules.clockSkewUs();
    }

    /** That of jobs/domain/order_key.py. */
    private StringData orderKey() {
        byte[] key = new byte[48];
        putKey(key);
        return StringData.fromBytes(key);
    }

    /** That of jobs/domain/trade_log.py. */
    private StringData log() {
        byte[] id = trade.tradeId;
        byte[] log = new byte[70 + 2 * id.length];
        putKey(log);
        int flags = (trade.updatesOpenClose ? 1 : 0)
                | (trade.setsHighAndLow() ? 2 : 0)
                | (trade.updatesVolume ? 4 : 0)
                | (skewed() ? 8 : 0);
        put(log, 48, flags, 2);
        put(log, 50, Double.doubleToRawLongBits(trade.size), 16);
        put(log, 66, id.length, 4);
        for (int place = 0; place < id.length; place++) {
            put(log, 70 + 2 * place, id[place], 2);
        }
        return StringData.fromBytes(log);
    }

    private void putKey(byte[] text) {
        put(text, 0, trade.eventTime, 16);
        put(text, 16, trade.sequence, 16);
        put(text, 32, Double.doubleToRawLongBits(trade.price), 16);
    }

    private static void put(byte[] text, int at, long number, int digits) {
        for (int place = at + digits - 1; place >= at; place--) {
            text[place] = DIGITS[(int) number & 0xf];
            number >>>= 4;
        }
    }
}
