package tickstream;

import java.io.Serializable;
import java.util.List;
import org.apache.flink.table.api.ValidationException;

/** Where the columns of a trade lie in a row; jobs/flink/decode_functions.py says what they mean. */
final class TradeColumns implements Serializable {
    private static final long serialVersionUID = 1;

    final int symbol;
    final int source;
    final int tradeId;
    final int eventTime;
    /** TIMESTAMP_LTZ(3): that of its record. */
    final int recordTime;

    final int onTime;
    final int orderKey;
    final int price;
    final int[] sums;
    final int delay;
    final int correctable;
    final int log;
    final int partition;
    final int offset;
    final int payload;

    TradeColumns(List<String> names) {
        symbol = at("symbol", names);
        source = at("source", names);
        tradeId = at("trade_id", names);
        eventTime = at("event_time", names);
        recordTime = at("record_time", names);
        onTime = at("on_time", names);
        orderKey = at("order_key", names);
        price = at("price", names);
        sums = Slice.SUMS.stream().mapToInt(name -> at(name, names)).toArray();
        delay = at("delay", names);
        correctable = at("correctable", names);
        log = at("log", names);
        partition = at("from_partition", names);
        offset = at("from_offset", names);
        payload = at("payload", names);
    }

    private static int at(String name, List<String> names) {
        int place = names.indexOf(name);
        if (place < 0) {
            throw new ValidationException("no column is " + name);
        }
        return place;
    }
}
