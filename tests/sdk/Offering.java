import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Offers h2c with each request, as HttpClient does with the first to a server; prints statuses. */
public class Offering {
    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        String password = "\"password\": \"correct horse battery staple\"";
        String account = "{\"email\": \"" + arguments[1] + "\", " + password + "}";
        send("POST", url + "/auth/register", account, null);
        String tokens = send("POST", url + "/auth/login", account, null);
        String token = tokens.split("\"access_token\":\"")[1].split("\"")[0];
        send("POST", url + "/api/posts", "{\"title\": \"Tea\", \"content\": \"Warm.\"}", token);
        send("GET", url + "/auth/me", null, token);
        send("DELETE", url + "/auth/sessions", null, token);
    }

    static String send(String method, String url, String body, String token) throws Exception {
        HttpRequest.BodyPublisher publisher = body == null
            ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body);
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
        request.method(method, publisher);
        if (body != null) {
            request.header("Content-Type", "application/json");
        }
        if (token != null) {
            request.header("Authorization", "Bearer " + token);
        }
        HttpClient client = HttpClient.newHttpClient();
        HttpResponse answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        System.out.println(method + " " + answer.statusCode() + " " + answer.version());
        return (String) answer.body();
    }
}
