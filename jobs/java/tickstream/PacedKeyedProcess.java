package tickstream;

import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.streaming.api.operators.python.process.ExternalPythonKeyedProcessOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * PyFlink's keyed operator, but for when its batches begin and end: a moment after the first row of a window, and
 * after a rest.
 *
 * <p>The slices of a window come together, so there is little to wait for. As shipped the operator begins a batch
 * with each row, and holds it and the watermark behind it back until the batch is full or its time is over.
 *
 * <p>After a batch it rests for as long as that has taken, or the one before if that was shorter. Meanwhile rows
 * wait, and those that may become one (see {@link WaitingRows}) do. With little to do that is not felt, as batches
 * take less time than lies between two windows; the more symbols trade, or the fewer processors are left, the more
 * trades are in a row that Python gets. So Python takes half of its thread's time at most, and how many symbols
 * there are decides how often their bars are shown, and not whether they fall behind.
 *
 * <p>What waits is in no checkpoint: a barrier finds nothing waiting.
 */
public final class PacedKeyedProcess<OUT> extends ExternalPythonKeyedProcessOperator<OUT> {
    private static final long serialVersionUID = 2;
    private static final long MILLISECOND = 1_000_000;
    private static final long LONGEST_REST = 5000 * MILLISECOND;
    /**
     * So long the first row waits for the others of its window. A watermark takes rows along, too, but theirs has to
     * wait for the topic of gaps, whose heartbeats are rare.
     */
    private static final long PATIENCE = 5 * MILLISECOND;

    private static final int MOST_ROWS = 10_000;

    private final RowRules rules;
    private transient WaitingRows rows;
    private transient Watermark watermark;
    private transient long rested;
    private transient long lastTook;
    private transient boolean alarm;

    /** Takes the place of {@code shipped}, whose input of type {@code input} is of keys and rows. */
    public PacedKeyedProcess(
            ExternalPythonKeyedProcessOperator<OUT> shipped, TypeInformation<?> input, List<String> rules) {
        super(
                shipped.getConfiguration(),
                shipped.getPythonFunctionInfo(),
                (RowTypeInfo) input,
                shipped.getProducedType());
        this.rules = new RowRules(rules);
    }

    @Override
    public void open() throws Exception {
        rows = new WaitingRows(rules);
        rested = System.nanoTime();
        super.open();
    }

    @Override
    public void processElement(StreamRecord<Row> element) throws Exception {
        rows.add(element);
        if (rows.size() >= MOST_ROWS) {
            deliver();
        } else {
            wakeAfter(PATIENCE);
        }
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        watermark = mark;
        if (mark.equals(Watermark.MAX_WATERMARK)) {
            deliver();
        } else {
            deliverOnceRested();
        }
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) throws Exception {
        deliver();
        super.prepareSnapshotPreBarrier(checkpoint);
    }

    @Override
    public void finish() throws Exception {
        deliver();
        super.finish();
    }

    private void deliverOnceRested() throws Exception {
        long left = rested - System.nanoTime();
        if (left <= 0) {
            deliver();
        } else {
            wakeAfter(left);
        }
    }

    /** One call at a time is enough: it looks what is left of the rest. */
    private void wakeAfter(long nanoseconds) {
        if (alarm) {
            return;
        }
        alarm = true;
        long now = getProcessingTimeService().getCurrentProcessingTime();
        getProcessingTimeService().registerTimer(now + nanoseconds / MILLISECOND + 1, time -> {
            alarm = false;
            deliverOnceRested();
        });
    }

    /** Everything that waits, in one batch, and the watermark behind it. */
    private void deliver() throws Exception {
        long began = System.nanoTime();
        List<StreamRecord<Row>> taken = rows.take();
        for (StreamRecord<Row> row : taken) {
            super.processElement(row);
        }
        invokeFinishBundle();
        if (watermark != null) {
            Watermark mark = watermark;
            watermark = null;
            super.processWatermark(mark);
        }
        if (!taken.isEmpty()) {
            restAfter(began, System.nanoTime());
        }
    }

    /** A single batch that was held up is no reason to hold up the next. */
    private void restAfter(long began, long ended) {
        long took = Math.min(ended - began, LONGEST_REST);
        rested = ended + Math.min(took, lastTook);
        lastTook = took;
    }
}
