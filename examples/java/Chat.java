import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.stream.Stream;

/** Asks a question about a picture, streamed: java Chat.java receipt.jpg "What is the total?" (JDK 17, no library). */
public class Chat {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 1) {
            System.err.println("usage: java Chat.java PICTURE [QUESTION]");
            System.exit(2);
        }
        String url = System.getenv().getOrDefault("VLPRO_URL", "http://127.0.0.1:8501/v1");
        String key = System.getenv().getOrDefault("VLPRO_KEY", "none"); // profile local takes any
        String question = arguments.length > 1 ? arguments[1] : "合计金额是多少？";
        String picture = Base64.getEncoder().encodeToString(Files.readAllBytes(Path.of(arguments[0])));
        String body = """
            {"model": "vlpro", "stream": true, "messages": [{"role": "user", "content": [
              {"type": "text", "text": %s},
              {"type": "image_url", "image_url": {"url": "data:image/png;base64,%s"}}]}]}
            """.formatted(quoted(question), picture);

        HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .build();
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/chat/completions"))
            .header("Authorization", "Bearer " + key)
            .header("Content-Type", "application/json")
            .timeout(Duration.ofMinutes(10)) // until the answer begins
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
        HttpResponse<Stream<String>> response = client.send(request, HttpResponse.BodyHandlers.ofLines());
        try (Stream<String> lines = response.body()) {
            if (response.statusCode() != 200) {
                // {"error": {"message": …, "code": …}}; the id finds the request in the audit record.
                System.err.println(response.statusCode() + " " + String.join("\n", lines.toList()));
                System.err.println(response.headers().firstValue("x-request-id").orElse(""));
                System.exit(1);
            }
            // Server-sent events: lines "data: {…}", the last one "data: [DONE]".
            boolean[] done = {false};
            lines.filter(line -> line.startsWith("data: ")).map(line -> line.substring(6)).forEach(data -> {
                if (data.equals("[DONE]")) {
                    done[0] = true;
                } else {
                    System.out.print(content(data));
                    System.out.flush();
                }
            });
            System.out.println();
            if (!done[0]) {
                System.err.println("The answer broke off.");
                System.exit(1);
            }
        }
    }

    /** A text as JSON. */
    private static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < ' ') {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }

    /** The value of "content" in a piece of the answer. A program with a JSON library, such as Jackson, uses that. */
    private static String content(String data) {
        String name = "\"content\":\"";
        int at = data.indexOf(name);
        if (at < 0) {
            return "";
        }
        StringBuilder text = new StringBuilder();
        for (int i = at + name.length(); data.charAt(i) != '"'; i++) {
            char c = data.charAt(i);
            if (c != '\\') {
                text.append(c);
                continue;
            }
            c = data.charAt(++i);
            switch (c) {
                case 'n' -> text.append('\n');
                case 't' -> text.append('\t');
                case 'r' -> text.append('\r');
                case 'b' -> text.append('\b');
                case 'f' -> text.append('\f');
                case 'u' -> {
                    text.append((char) Integer.parseInt(data.substring(i + 1, i + 5), 16));
                    i += 4;
                }
                default -> text.append(c);
            }
        }
        return text.toString();
    }
}
