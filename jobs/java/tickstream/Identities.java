package tickstream;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.util.LongArrayList;
import org.apache.flink.table.runtime.util.collections.LongHashSet;

/**
 * Which trades of a symbol are known, by spans of time that are forgotten as a whole. In the state each span is in
 * parts, a checkpoint's each: (span, number) to identities.
 */
final class Identities {
    static final MapStateDescriptor<Tuple2<Long, Integer>, long[]> STATE = new MapStateDescriptor<>(
            "identities", Types.TUPLE(Types.LONG, Types.INT), TypeInformation.of(long[].class));

    private final TreeMap<Long, Span> spans = new TreeMap<>();

    private static final class Span {
        final LongHashSet known = new LongHashSet();
        final LongArrayList unsaved = new LongArrayList(8);
        int parts;
        int size;

        void add(long identity) {
            known.add(identity);
            size++;
        }
    }

    /** Those that the state of the current key has. */
    static Identities load(MapState<Tuple2<Long, Integer>, long[]> state) throws Exception {
        Identities identities = new Identities();
        for (Map.Entry<Tuple2<Long, Integer>, long[]> part : state.entries()) {
            Span span = identities.span(part.getKey().f0);
            span.parts = Math.max(span.parts, part.getKey().f1 + 1);
            for (long identity : part.getValue()) {
                span.add(identity);
            }
        }
        return identities;
    }

    /** Whether it was not known. */
    boolean add(long identity, long of) {
        for (Span span : spans.values()) {
            if (span.known.contains(identity)) {
                return false;
            }
        }
        Span span = span(of);
        span.add(identity);
        span.unsaved.add(identity);
        return true;
    }

    /** Brings the state of the current key up to date, and forgets the spans before {@code oldest}; how many are left. */
    long save(MapState<Tuple2<Long, Integer>, long[]> state, long oldest) throws Exception {
        while (!spans.isEmpty() && spans.firstKey() < oldest) {
            Map.Entry<Long, Span> over = spans.pollFirstEntry();
            for (int part = 0; part < over.getValue().parts; part++) {
                state.remove(Tuple2.of(over.getKey(), part));
            }
        }
        long left = 0;
        for (Map.Entry<Long, Span> each : spans.entrySet()) {
            Span span = each.getValue();
            if (!span.unsaved.isEmpty()) {
                state.put(Tuple2.of(each.getKey(), span.parts++), span.unsaved.toArray());
                span.unsaved.clear();
            }
            left += span.size;
        }
        return left;
    }

    boolean isEmpty() {
        return spans.isEmpty();
    }

    private Span span(long start) {
        return spans.computeIfAbsent(start, any -> new Span());
    }
}
