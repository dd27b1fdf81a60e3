package tickstream;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.flink.table.data.StringData;

/**
 * Reads a trade that is beyond doubt: written with our own schema, every value within the rules, every text
 * ASCII. Of anything else it says no, and whoever asked has it decided in Python: what is poison, and why, is
 * never decided here.
 *
 * <p>Fields that a trade has and nobody here asks for are passed over. One instance is for one thread; what was
 * read last is in its fields.
 */
final class PlainTrade {
    private static final int HEADER = 5;
    private static final int MOST_NAMES = 100_000;

    StringData symbol;
    StringData source;
    byte[] tradeId;
    long eventTime;
    long receivedAt;
    long sequence;
    double price;
    double size;
    /** The three flags as the trade has them; see {@link #setsHighAndLow()}. */
    boolean updatesOpenClose;

    boolean updatesHighLow;
    boolean updatesVolume;
    boolean correctable;
    /** Where in the record the text begins, and its bytes. */
    int exchangeAt;

    int exchangeBytes;
    /** Where in the record the texts are, each after its length, and how many. */
    int conditionsAt;

    int conditions;

    private final TradeRules rules;
    private final Pattern symbolPattern;
    private final Field[] fields;
    private final Map<String, StringData> symbols = new HashMap<>();
    private final Map<String, StringData> sources = new HashMap<>();
    private byte[] data;
    private int at;
    private int textsAt;

    PlainTrade(TradeRules rules) {
        this.rules = rules;
        symbolPattern = Pattern.compile(rules.symbolPattern());
        fields = rules.fields().stream().map(Field::of).toArray(Field[]::new);
    }

    private enum Field {
        SYMBOL,
        SOURCE,
        TRADE_ID,
        EVENT_TIME,
        RECEIVED_AT,
        SEQUENCE,
        PRICE,
        SIZE,
        EXCHANGE,
        CONDITIONS,
        UPDATES_OPEN_CLOSE,
        UPDATES_HIGH_LOW,
        UPDATES_VOLUME,
        CORRECTABLE,
        OTHER_STRING,
        OTHER_LONG,
        OTHER_DOUBLE,
        OTHER_BOOLEAN,
        OTHER_STRINGS;

        /** That of {@code name:type}, as the rules have it. */
        static Field of(String field) {
            String[] parts = field.toUpperCase(Locale.ROOT).split(":", 2);
            return Arrays.stream(values())
                    .filter(each -> each.name().equals(parts[0]))
                    .findFirst()
                    .orElseGet(() -> valueOf("OTHER_" + parts[1]));
        }
    }

    /** Whether the value of a record is such a trade; its fields mean nothing where it is not. */
    boolean read(byte[] value) {
        data = value;
        at = HEADER;
        try {
            if (value[0] != 0 || fixed32() != rules.schemaId()) {
                return false;
            }
            for (Field field : fields) {
                read(field);
            }
        } catch (NotPlain | IndexOutOfBoundsException doubt) {
            return false;
        }
        return at == value.length
                && eventTime >= 0
                && sequence >= 0
                && price > 0
                && price <= rules.largestAmount()
                && size >= 0
                && size <= rules.largestAmount()
                && price * size <= rules.largestAmount();
    }

    /** What sets the open sets the high, too, or a bar could open above it. */
    boolean setsHighAndLow() {
        return updatesHighLow || updatesOpenClose;
    }

    private void read(Field field) {
        switch (field) {
            case SYMBOL -> symbol = name(symbols);
            case SOURCE -> source = name(sources);
            case TRADE_ID -> tradeId = text();
            case EVENT_TIME -> eventTime = number();
            case RECEIVED_AT -> receivedAt = number();
            case SEQUENCE -> sequence = number();
            case PRICE -> price = real();
            case SIZE -> size = real();
            case EXCHANGE -> {
                exchangeAt = skipText(0, Integer.MAX_VALUE);
                exchangeBytes = at - exchangeAt;
            }
            case CONDITIONS -> {
                conditions = skipTexts();
                conditionsAt = textsAt;
            }
            case UPDATES_OPEN_CLOSE -> updatesOpenClose = flag();
            case UPDATES_HIGH_LOW -> updatesHighLow = flag();
            case UPDATES_VOLUME -> updatesVolume = flag();
            case CORRECTABLE -> correctable = flag();
            case OTHER_STRING -> skipText(0, Integer.MAX_VALUE);
            case OTHER_LONG -> number();
            case OTHER_DOUBLE -> real();
            case OTHER_BOOLEAN -> flag();
            case OTHER_STRINGS -> skipTexts();
        }
    }

    /** Passes over a list of texts; how many there are. */
    private int skipTexts() {
        long items = number();
        if (items < 0 || items > data.length) {
            throw NotPlain.DOUBT; // a block with its size: ours have none
        }
        textsAt = at;
        for (long item = 0; item < items; item++) {
            skipText(0, Integer.MAX_VALUE);
        }
        if (items > 0 && number() != 0) {
            throw NotPlain.DOUBT; // a further block
        }
        return (int) items;
    }

    /** A text that comes again and again, of which one copy is kept. */
    private StringData name(Map<String, StringData> known) {
        String text = new String(text(), StandardCharsets.ISO_8859_1);
        StringData name = known.get(text);
        if (name == null) {
            if (known == symbols && !symbolPattern.matcher(text).matches()) {
                throw NotPlain.DOUBT;
            }
            name = StringData.fromString(text);
            if (known.size() < MOST_NAMES) {
                known.put(text, name);
            }
        }
        return name;
    }

    private byte[] text() {
        int begin = skipText(1, rules.longestName());
        byte[] copy = new byte[at - begin];
        System.arraycopy(data, begin, copy, 0, copy.length);
        return copy;
    }

    /** Passes over a text of ASCII; where it begins. */
    private int skipText(int least, int most) {
        long length = number();
        if (length < least || length > most || length > data.length - at) {
            throw NotPlain.DOUBT;
        }
        int begin = at;
        at += (int) length;
        for (int place = begin; place < at; place++) {
            if (data[place] < 0) {
                throw NotPlain.DOUBT;
            }
        }
        return begin;
    }

    private boolean flag() {
        byte value = data[at++];
        if (value != 0 && value != 1) {
            throw NotPlain.DOUBT;
        }
        return value == 1;
    }

    private double real() {
        long bits = 0;
        for (int place = 7; place >= 0; place--) {
            bits = bits << 8 | data[at + place] & 0xff;
        }
        at += 8;
        return Double.longBitsToDouble(bits);
    }

    /** Seven bits a byte, the lowest first, the eighth set in all but the last; the sign in the lowest bit. */
    private long number() {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            byte next = data[at++];
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return value >>> 1 ^ -(value & 1);
            }
        }
        throw NotPlain.DOUBT;
    }

    private int fixed32() {
        return (data[1] & 0xff) << 24 | (data[2] & 0xff) << 16 | (data[3] & 0xff) << 8 | data[4] & 0xff;
    }

    private static final class NotPlain extends RuntimeException {
        private static final long serialVersionUID = 1;
        static final NotPlain DOUBT = new NotPlain();

        private NotPlain() {
            super("not a plain trade", null, false, false);
        }
    }
}
