package tickstream;

import java.io.Serializable;
import java.util.List;

/**
 * What a plain trade is, as Python has it.
 *
 * @param schemaId the registry's id of the schema of trades
 * @param fields those of the schema in their order, {@code name:type}; {@code strings} is a list of texts
 * @param symbolPattern what a symbol matches as a whole
 * @param longestName characters of a trade id or source
 * @param largestAmount of a price, a size and of both multiplied
 * @param clockSkewUs a trade may be dated so far ahead of its receipt, microseconds
 */
public record TradeRules(
        int schemaId,
        List<String> fields,
        String symbolPattern,
        int longestName,
        double largestAmount,
        long clockSkewUs)
        implements Serializable {}
