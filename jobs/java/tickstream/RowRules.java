package tickstream;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.types.Row;

/** Which rows are about the same, and how they become one: a rule for each column, of which nulls have no part. */
public final class RowRules implements Serializable {
    private static final long serialVersionUID = 1;
    private static final long MINUTE_US = 60_000_000;

    private enum Rule {
        /** Equal, or they stay apart. */
        KEY,
        /** A time in microseconds, of the same minute or they stay apart; the earliest. */
        MINUTE,
        LEAST,
        GREATEST,
        SUM,
        /** One below the other. */
        LINES,
        /** A row that has it stays apart from all others. */
        ALONE
    }

    private final List<Rule> rules;

    /** @param rules the names of the rules, in the order of the columns; none: each row stays as it is */
    public RowRules(List<String> rules) {
        this.rules = new ArrayList<>(rules.stream().map(Rule::valueOf).toList());
    }

    /** Equal for rows that may become one; null for one that stays apart from all others. */
    public Object key(Row row) {
        if (rules.isEmpty()) {
            return null;
        }
        List<Object> key = new ArrayList<>();
        for (int column = 0; column < rules.size(); column++) {
            Object value = row.getField(column);
            switch (rules.get(column)) {
                case KEY -> key.add(value);
                case MINUTE -> key.add(value == null ? null : Math.floorDiv((Long) value, MINUTE_US));
                case ALONE -> {
                    if (value != null) {
                        return null;
                    }
                }
                default -> {}
            }
        }
        return key;
    }

    /** Adds to {@code row} another one of the same key. */
    public void merge(Row row, Row other) {
        for (int column = 0; column < rules.size(); column++) {
            Object value = row.getField(column);
            Object added = other.getField(column);
            if (value == null || added == null) {
                row.setField(column, value == null ? added : value);
            } else {
                row.setField(column, merged(rules.get(column), value, added));
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static Object merged(Rule rule, Object value, Object added) {
        return switch (rule) {
            case KEY, ALONE -> value;
            case MINUTE, LEAST -> ((Comparable<Object>) value).compareTo(added) <= 0 ? value : added;
            case GREATEST -> ((Comparable<Object>) value).compareTo(added) >= 0 ? value : added;
            case SUM -> (Long) value + (Long) added;
            case LINES -> value + "\n" + added;
        };
    }
}
