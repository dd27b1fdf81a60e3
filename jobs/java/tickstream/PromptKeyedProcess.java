package tickstream;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.streaming.api.operators.python.process.ExternalPythonKeyedProcessOperator;
import org.apache.flink.streaming.api.watermark.Watermark;

/**
 * PyFlink's keyed operator, but for when its batch ends: with each watermark. The slices of a window come
 * together, and the watermark that has closed it right behind them; nothing more is to be waited for then. As
 * shipped it holds the watermark back until the batch is full or its time is over.
 */
public final class PromptKeyedProcess<OUT> extends ExternalPythonKeyedProcessOperator<OUT> {
    private static final long serialVersionUID = 1;

    /** Takes the place of {@code shipped}, whose input is of type {@code input}. */
    public PromptKeyedProcess(ExternalPythonKeyedProcessOperator<OUT> shipped, TypeInformation<?> input) {
        super(
                shipped.getConfiguration(),
                shipped.getPythonFunctionInfo(),
                (RowTypeInfo) input,
                shipped.getProducedType());
    }

    @Override
    public void processWatermark(Watermark watermark) throws Exception {
        invokeFinishBundle();
        super.processWatermark(watermark);
    }
}
