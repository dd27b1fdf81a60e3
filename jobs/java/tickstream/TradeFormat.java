package tickstream;

import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.DataType;

/**
 * The format {@code tickstream-trades} of a table's values: see {@link TradeDeserializer}. Its options are those
 * of {@link TradeRules}.
 */
public final class TradeFormat implements DeserializationFormatFactory {
    private static final ConfigOption<Integer> SCHEMA_ID =
            ConfigOptions.key("schema-id").intType().noDefaultValue();
    private static final ConfigOption<List<String>> FIELDS =
            ConfigOptions.key("fields").stringType().asList().noDefaultValue();
    private static final ConfigOption<String> SYMBOL_PATTERN =
            ConfigOptions.key("symbol-pattern").stringType().noDefaultValue();
    private static final ConfigOption<Integer> LONGEST_NAME =
            ConfigOptions.key("longest-name").intType().noDefaultValue();
    private static final ConfigOption<Double> LARGEST_AMOUNT =
            ConfigOptions.key("largest-amount").doubleType().noDefaultValue();
    private static final ConfigOption<Long> CLOCK_SKEW_US =
            ConfigOptions.key("clock-skew-us").longType().noDefaultValue();

    @Override
    public String factoryIdentifier() {
        return "tickstream-trades";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(SCHEMA_ID, FIELDS, SYMBOL_PATTERN, LONGEST_NAME, LARGEST_AMOUNT, CLOCK_SKEW_US);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
            DynamicTableFactory.Context context, ReadableConfig options) {
        FactoryUtil.validateFactoryOptions(this, options);
        TradeRules rules = new TradeRules(
                options.get(SCHEMA_ID),
                List.copyOf(options.get(FIELDS)),
                options.get(SYMBOL_PATTERN),
                options.get(LONGEST_NAME),
                options.get(LARGEST_AMOUNT),
                options.get(CLOCK_SKEW_US));
        return new DecodingFormat<>() {
            @Override
            public DeserializationSchema<RowData> createRuntimeDecoder(
                    DynamicTableSource.Context source, DataType row) {
                return new TradeDeserializer(
                        rules, List.copyOf(DataType.getFieldNames(row)), source.createTypeInformation(row));
            }

            @Override
            public ChangelogMode getChangelogMode() {
                return ChangelogMode.insertOnly();
            }
        };
    }
}
