package tickstream;

/** Whether event time passes faster than the clock's: a log is being made up for. Judged twice a second. */
final class Pace {
    private static final long MILLISECOND = 1_000_000;
    private static final long JUDGE_EVERY = 500 * MILLISECOND;
    private static final long TIMES_AS_FAST = 2;

    private long judgedAt = System.nanoTime();
    private long watermark = Long.MIN_VALUE;
    private boolean fast;

    /** {@code mark}: the newest watermark, ms. */
    boolean isFast(long mark) {
        long now = System.nanoTime();
        if (now - judgedAt >= JUDGE_EVERY) {
            long passed = (now - judgedAt) / MILLISECOND;
            fast = watermark != Long.MIN_VALUE && mark - watermark > TIMES_AS_FAST * passed;
            judgedAt = now;
            watermark = mark;
        }
        return fast;
    }
}
