package tickstream;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/** Pairs of key and row that wait for a batch, in the order in which they came, but that one which comes to an
 * earlier one of the same kind is added to it. */
public final class WaitingRows {
    private final RowRules rules;
    private final Map<Object, Row> kinds = new HashMap<>();
    private List<StreamRecord<Row>> records = new ArrayList<>();

    public WaitingRows(RowRules rules) {
        this.rules = rules;
    }

    /** Takes over a pair, which is changed when others are added to it. */
    public void add(StreamRecord<Row> pair) {
        Row row = (Row) pair.getValue().getField(1);
        Object kind = rules.key(row);
        if (kind != null) {
            Row earlier = kinds.putIfAbsent(kind, row);
            if (earlier != null) {
                rules.merge(earlier, row);
                return;
            }
        }
        records.add(pair.copy(pair.getValue()));
    }

    public int size() {
        return records.size();
    }

    /** All that has waited; nothing waits any more. */
    public List<StreamRecord<Row>> take() {
        List<StreamRecord<Row>> taken = records;
        records = new ArrayList<>();
        kinds.clear();
        return taken;
    }
}
