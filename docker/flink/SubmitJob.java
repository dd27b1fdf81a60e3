import org.apache.flink.client.python.PythonDriver;

/**
 * What Flink's Web UI runs to submit a job: one class for each, which hands over to jobs/web_submit.py.
 * They take no arguments, for in Flink 2.3 those that are typed into the form do not reach the program, and
 * PythonDriver without any ends the JobManager.
 */
public final class SubmitJob {
    public static final class Bars {
        public static void main(String[] arguments) throws Throwable {
            submit("bars");
        }
    }

    public static final class Store {
        public static void main(String[] arguments) throws Throwable {
            submit("store");
        }
    }

    private static void submit(String job) throws Throwable {
        PythonDriver.main(new String[] {"-pym", "jobs.web_submit", job});
    }
}
