package tickstream;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.CRC32;
import org.apache.flink.table.data.StringData;

/**
 * The rows of a {@link PlainTrade} for bronze and silver, as a {@link RowBatch} has them: what TradeRows of
 * jobs/sinks/tick_rows.py makes of the same trade, which says what they mean; a test holds both equal.
 */
final class TradeRows {
    private static final int MOST_SYMBOLS = 100_000;
    private static final long MINUTE_US = 60_000_000;
    private static final long MINUTE_MS = 60_000;
    /** Of both rows but for the payload, and what the record may hold twice or thrice. */
    private static final int FIXED_BYTES = 400;

    private final int bronze;
    private final int silver;
    private final int shards;
    /** Of each symbol its shard and itself, as rows have them. */
    private final Map<StringData, byte[]> symbols = new HashMap<>();

    private final CRC32 crc = new CRC32();
    private ByteBuffer rows = ByteBuffer.allocate(4096);

    /** {@code bronze}, {@code silver}: the numbers of their inserts. */
    TradeRows(int bronze, int silver, int shards) {
        this.bronze = bronze;
        this.silver = silver;
        this.shards = shards;
    }

    /** Both rows, from the start of {@link #data} on; their bytes. {@code payload}: the record it was read from. */
    int make(PlainTrade trade, int partition, long offset, byte[] payload) {
        int most = FIXED_BYTES + 8 * payload.length;
        rows = rows.capacity() < most ? ByteBuffer.allocate(most) : rows.clear();
        rows.putShort((short) bronze);
        int key = rows.position();
        putKey(trade);
        int keyBytes = rows.position() - key;
        putInt(partition);
        putLong(offset);
        putBytes(payload, 0, payload.length);

        rows.putShort((short) silver);
        rows.put(rows.array(), key, keyBytes);
        putLong(Double.doubleToRawLongBits(trade.price));
        putLong(Double.doubleToRawLongBits(trade.size));
        putBytes(payload, trade.exchangeAt, trade.exchangeBytes);
        putConditions(trade, payload);
        putFlag(trade.updatesOpenClose);
        putFlag(trade.updatesHighLow);
        putFlag(trade.updatesVolume);
        putFlag(trade.correctable);
        putLong(trade.receivedAt);
        return rows.position();
    }

    byte[] data() {
        return rows.array();
    }

    private void putKey(PlainTrade trade) {
        putLong(trade.eventTime / MINUTE_US * MINUTE_MS);
        rows.put(shardAndSymbol(trade.symbol));
        putLong(trade.eventTime);
        putLong(trade.sequence);
        byte[] source = trade.source.toBytes();
        putBytes(source, 0, source.length);
        putBytes(trade.tradeId, 0, trade.tradeId.length);
    }

    private byte[] shardAndSymbol(StringData symbol) {
        byte[] known = symbols.get(symbol);
        if (known == null) {
            byte[] text = symbol.toBytes();
            crc.reset();
            crc.update(text);
            int shard = (int) (crc.getValue() % shards);
            known = ByteBuffer.allocate(12 + text.length)
                    .putInt(Integer.BYTES)
                    .putInt(shard)
                    .putInt(text.length)
                    .put(text)
                    .array();
            if (symbols.size() < MOST_SYMBOLS) {
                symbols.put(symbol, known);
            }
        }
        return known;
    }

    /** A list of texts: their number, and each after its length. */
    private void putConditions(PlainTrade trade, byte[] payload) {
        int begin = rows.position();
        rows.putInt(0).putInt(trade.conditions);
        int at = trade.conditionsAt;
        for (int condition = 0; condition < trade.conditions; condition++) {
            int length = 0;
            for (int shift = 0; ; shift += 7) { // Avro's number, which the trade has been read by
                byte next = payload[at++];
                length |= (next & 0x7f) << shift;
                if (next >= 0) {
                    break;
                }
            }
            length >>>= 1;
            putBytes(payload, at, length);
            at += length;
        }
        rows.putInt(begin, rows.position() - begin - Integer.BYTES);
    }

    private void putFlag(boolean flag) {
        rows.putInt(1).put((byte) (flag ? 1 : 0));
    }

    private void putInt(int number) {
        rows.putInt(Integer.BYTES).putInt(number);
    }

    private void putLong(long number) {
        rows.putInt(Long.BYTES).putLong(number);
    }

    private void putBytes(byte[] bytes, int begin, int length) {
        rows.putInt(length).put(bytes, begin, length);
    }
}
