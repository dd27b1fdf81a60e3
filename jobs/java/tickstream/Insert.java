package tickstream;

import java.io.Serializable;

/**
 * An INSERT into a table of Cassandra, whose values rows have in the order of its markers.
 *
 * @param cql the statement
 * @param values how many it takes
 * @param partition so many of them, the first, are the partition key
 * @param key so many, the first, are the whole key; 0 where it does not matter which of two rows with the same key
 *     is written last, as each comes with a timestamp of its own
 */
public record Insert(String cql, int values, int partition, int key) implements Serializable {}
