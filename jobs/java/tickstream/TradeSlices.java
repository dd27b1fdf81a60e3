package tickstream;

import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.shaded.guava33.com.google.common.hash.HashFunction;
import org.apache.flink.shaded.guava33.com.google.common.hash.Hashing;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.types.Row;

/**
 * Of each trade the first copy, added up with the others of its symbol and source that lie in the same window of
 * event time; a late trade, a correction and whatever else is not on time by itself. By symbol.
 *
 * <p>On time is what no watermark had passed, before a restart either. So nothing is dropped: what a window of SQL
 * would have passed over without a word goes on by itself, and whoever keeps the bars decides. A window is over
 * with the watermark, and with each checkpoint: its trades then are in two slices, and in no state.
 *
 * <p>While a log is read that is behind, at least twice as fast as it was written, windows are longer: nobody waits
 * for what a bar was at each moment, and the fewer slices there are, the sooner all is made up for.
 *
 * <p>A trade is known by source and id for {@code memory} of event time, and until a checkpoint tells that what
 * keeps the bars, and refuses what is older, has seen the watermark that says so. So however fast a log is read, as
 * many are known as the market makes in that time. Each is 64 bits on the heap, and in the state once it has been
 * in a checkpoint; that of another trade of its symbol has the same once in 10^13 trades, with a million known.
 */
public final class TradeSlices extends AbstractStreamOperator<Row> implements OneInputStreamOperator<RowData, Row> {
    private static final long serialVersionUID = 1;
    private static final HashFunction HASH = Hashing.murmur3_128();
    private static final long SPANS = 4;
    private static final int MOST_SLICES = 50_000;
    /** Milliseconds; those of Flink's last watermark are too many for microseconds. */
    private static final long END_OF_TIME = Long.MAX_VALUE / 1_000_000;

    /** Of windows while a log is made up for; it divides a minute, as no slice is of two. */
    private static final long CATCHING_UP_MS = 5_000;

    private static final long BEHIND_MS = 10_000;

    private final TradeColumns columns;
    private final long windowMs;
    private final long memoryUs;
    private final long spanUs;

    private transient Map<String, Identities> symbols;
    private transient TreeMap<Long, Map<Kind, Slice>> windows;
    private transient int slices;
    private transient MapState<Tuple2<Long, Integer>, long[]> identities;
    private transient ListState<Long> watermarks;
    /** The greatest watermark (ms), of before a restart, too. */
    private transient long passed;
    private transient Pace pace;
    /** Whether windows are long now. */
    private transient boolean catchingUp;
    /** That at the barrier of each checkpoint that is not complete yet. */
    private transient TreeMap<Long, Long> atBarriers;
    /** That at the barrier of the last checkpoint that is: the bars have seen it. */
    private transient long seenByAll;

    private transient long knownTrades;

    private record Kind(String symbol, Object source, boolean correctable) {}

    private TradeSlices(TradeColumns columns, long windowMs, long memorySeconds) {
        this.columns = columns;
        this.windowMs = windowMs;
        memoryUs = memorySeconds * 1_000_000;
        spanUs = Math.max(1, memoryUs / SPANS);
    }

    /**
     * The slices, of type {@link Slice#TYPE}, of a view of trades with the columns of {@link TradeColumns}; rows
     * without a symbol have no part in them.
     */
    public static DataStream<Row> of(StreamTableEnvironment tables, String view, long windowMs, long memorySeconds) {
        Table trades = tables.from(view);
        DataType type = trades.getResolvedSchema().toSourceRowDataType();
        TradeColumns columns = new TradeColumns(trades.getResolvedSchema().getColumnNames());
        DataStream<RowData> rows = tables.toDataStream(trades, type.bridgedTo(RowData.class));
        return rows.filter(row -> !row.isNullAt(columns.symbol))
                .keyBy(row -> row.getString(columns.symbol).toString(), Types.STRING)
                .transform("slices", Slice.TYPE, new TradeSlices(columns, windowMs, memorySeconds))
                .uid("slices");
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        watermarks = context.getOperatorStateStore()
                .getUnionListState(new ListStateDescriptor<>("watermarks", Types.LONG));
        passed = Long.MIN_VALUE;
        if (context.isRestored()) {
            // Whoever comes after us has passed the least of them at most.
            long least = Long.MAX_VALUE;
            for (long watermark : watermarks.get()) {
                least = Math.min(least, watermark);
            }
            passed = least == Long.MAX_VALUE ? Long.MIN_VALUE : least;
        }
    }

    @Override
    public void open() throws Exception {
        super.open();
        symbols = new HashMap<>();
        windows = new TreeMap<>();
        atBarriers = new TreeMap<>();
        seenByAll = passed;
        pace = new Pace();
        identities = getKeyedStateStore().getMapState(Identities.STATE);
        List<String> known;
        try (Stream<String> keys =
                this.<String>getKeyedStateBackend().getKeys(Identities.STATE.getName(), VoidNamespace.INSTANCE)) {
            known = keys.toList();
        }
        for (String symbol : known) {
            setCurrentKey(symbol);
            symbols.put(symbol, Identities.load(identities));
        }
        getMetricGroup().gauge("knownTrades", () -> knownTrades);
    }

    @Override
    public void processElement(StreamRecord<RowData> element) {
        RowData trade = element.getValue();
        String symbol = (String) getCurrentKey();
        Identities known = symbols.computeIfAbsent(symbol, any -> new Identities());
        if (!known.add(identity(trade), span(trade))) {
            return;
        }
        long time = trade.getTimestamp(columns.recordTime, 3).getMillisecond();
        if (trade.getBoolean(columns.onTime) && time > passed) {
            add(symbol, time, trade);
        } else {
            Slice slice = new Slice(columns);
            slice.add(trade);
            output.collect(new StreamRecord<>(slice.row(symbol, trade.getBinary(columns.payload)), time));
        }
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        passed = Math.max(passed, Math.min(mark.getTimestamp(), END_OF_TIME));
        emitUntil(mark.getTimestamp());
        boolean isBehind = System.currentTimeMillis() - passed > BEHIND_MS;
        catchUp(pace.isFast(passed) && isBehind);
        super.processWatermark(mark);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) throws Exception {
        emitUntil(Long.MAX_VALUE);
        atBarriers.put(checkpoint, passed);
        long oldest = oldestSpan();
        long left = 0;
        for (Iterator<Map.Entry<String, Identities>> each = symbols.entrySet().iterator(); each.hasNext(); ) {
            Map.Entry<String, Identities> symbol = each.next();
            setCurrentKey(symbol.getKey());
            left += symbol.getValue().save(identities, oldest);
            if (symbol.getValue().isEmpty()) {
                each.remove();
            }
        }
        knownTrades = left;
        super.prepareSnapshotPreBarrier(checkpoint);
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        watermarks.update(List.of(passed));
    }

    /** Everything between the sources and the records has seen what was before the barrier. */
    @Override
    public void notifyCheckpointComplete(long checkpoint) throws Exception {
        super.notifyCheckpointComplete(checkpoint);
        SortedMap<Long, Long> complete = atBarriers.headMap(checkpoint, true);
        if (!complete.isEmpty()) {
            seenByAll = complete.get(complete.lastKey());
            complete.clear();
        }
    }

    private void catchUp(boolean now) {
        if (catchingUp && !now) {
            emitUntil(Long.MAX_VALUE); // who is up to date waits for no long window to end
        }
        catchingUp = now;
    }

    private void add(String symbol, long time, RowData trade) {
        long length = catchingUp ? Math.max(CATCHING_UP_MS, windowMs) : windowMs;
        long end = time - Math.floorMod(time, length) + length;
        Kind kind = new Kind(symbol, trade.getString(columns.source), trade.getBoolean(columns.correctable));
        Map<Kind, Slice> window = windows.computeIfAbsent(end, any -> new LinkedHashMap<>());
        Slice slice = window.get(kind);
        if (slice == null) {
            slice = new Slice(columns);
            window.put(kind, slice);
            slices++;
        }
        slice.add(trade);
        if (slices > MOST_SLICES) {
            emitUntil(Long.MAX_VALUE); // there is no watermark yet, or one that waits for a partition
        }
    }

    /** The windows that a watermark has passed. */
    private void emitUntil(long watermark) {
        while (!windows.isEmpty() && windows.firstKey() - 1 <= watermark) {
            emit(windows.pollFirstEntry());
        }
    }

    private void emit(Map.Entry<Long, Map<Kind, Slice>> window) {
        slices -= window.getValue().size();
        window.getValue()
                .forEach((kind, slice) ->
                        output.collect(new StreamRecord<>(slice.row(kind.symbol(), null), window.getKey() - 1)));
    }

    private long identity(RowData trade) {
        return HASH.newHasher()
                .putBytes(trade.getString(columns.source).toBytes())
                .putByte((byte) 0)
                .putBytes(trade.getString(columns.tradeId).toBytes())
                .hash()
                .asLong();
    }

    /** By event time, but for what is dated far ahead or has long been over: it is not known for ever, or not at all. */
    private long span(RowData trade) {
        long span = Math.floorDiv(trade.getLong(columns.eventTime), spanUs);
        if (passed == Long.MIN_VALUE) {
            return span;
        }
        return Math.max(oldestSpan(), Math.min(span, Math.floorDiv(passed * 1000 + memoryUs, spanUs)));
    }

    /** Of what may still come and count. */
    private long oldestSpan() {
        return seenByAll == Long.MIN_VALUE ? Long.MIN_VALUE : Math.floorDiv(seenByAll * 1000 - memoryUs, spanUs);
    }
}
