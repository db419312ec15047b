import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** The JDK's client as it comes: it asks for HTTP/2 with each request that has a body. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        String body = "{\"model\": \"" + arguments[2] + "\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi.\"}]%s}";
        HttpClient client = HttpClient.newHttpClient();
        for (String more : new String[] {"", ", \"stream\": true", ""}) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0] + "/v1/chat/completions"))
                .header("authorization", "Bearer " + arguments[1])
                .header("content-type", "application/json")
                .POST(BodyPublishers.ofString(body.formatted(more)))
                .build();
            var answer = client.send(request, BodyHandlers.ofString());
            if (answer.statusCode() != 200 || !answer.body().contains("choices")) {
                throw new IllegalStateException(answer.statusCode() + " " + answer.body());
            }
        }
        System.out.println("{\"name\": \"the JDK's client\", \"wrong\": \"\"}");
    }
}
