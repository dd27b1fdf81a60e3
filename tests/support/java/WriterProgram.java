package tickstream;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;

/**
 * What the store job does in the JVM, for tests: a line is a command and its arguments, parted by tabs; each is
 * answered by a line. Rows and payloads are base64.
 */
final class WriterProgram {
    private final List<Insert> inserts = new ArrayList<>();
    private CassandraWriter writer;
    private PlainTrade trade;
    private TradeRows rows;

    public static void main(String[] arguments) throws Exception {
        WriterProgram program = new WriterProgram();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String answer;
            try {
                answer = program.answer(line.split("\t", -1));
            } catch (RuntimeException error) {
                answer = "error " + error.getMessage();
            }
            System.out.println(answer.replace('\n', ' '));
        }
        System.exit(0);
    }

    private String answer(String[] command) throws InterruptedException {
        switch (command[0]) {
            case "insert" -> inserts.add(
                    new Insert(command[4], number(command[1]), number(command[2]), number(command[3])));
            case "connect" -> {
                List<String> hosts = List.of(command[1]);
                CassandraAccess access = new CassandraAccess(
                        hosts, number(command[2]), command[3], command[4], "", "", number(command[5]));
                writer = new CassandraWriter(access, inserts);
            }
            case "write" -> {
                add(command[1]);
                writer.finish();
            }
            case "add" -> add(command[1]);
            case "send" -> writer.send();
            case "finish" -> writer.finish();
            case "rules" -> {
                trade = new PlainTrade(new TradeRules(
                        number(command[1]), Arrays.asList(command[2].split(";")), command[3], number(command[4]),
                        Double.parseDouble(command[5]), number(command[6])));
                rows = new TradeRows(number(command[7]), number(command[8]), number(command[9]));
            }
            case "trade" -> {
                return rowsOf(number(command[1]), Long.parseLong(command[2]), decoded(command[3]));
            }
            default -> throw new IllegalArgumentException("no command is " + command[0]);
        }
        return "done";
    }

    private void add(String base64) throws InterruptedException {
        byte[] data = decoded(base64);
        writer.add(data, 0, data.length);
    }

    /** Nothing where it is no plain trade. */
    private String rowsOf(int partition, long offset, byte[] payload) {
        if (!trade.read(payload)) {
            return "";
        }
        int bytes = rows.make(trade, partition, offset, payload);
        return Base64.getEncoder().encodeToString(Arrays.copyOf(rows.data(), bytes));
    }

    private static int number(String text) {
        return Integer.parseInt(text);
    }

    private static byte[] decoded(String base64) {
        return Base64.getDecoder().decode(base64);
    }
}
