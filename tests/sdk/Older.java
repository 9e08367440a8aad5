import byline.ApiClient;
import byline.ApiException;
import byline.ApiResponse;
import byline.AuditApi;
import byline.AuthApi;
import byline.PostsApi;
import byline.model.Account;
import byline.model.AuditEvent;
import byline.model.Credentials;
import byline.model.NewPost;
import byline.model.Post;
import byline.model.PostChanges;
import byline.model.Registration;
import byline.model.SignIn;
import java.nio.file.Files;
import java.util.List;
import java.util.UUID;

/** Uses a service that is newer than openapi-generator's client of it; prints what it gets. */
public class Older {
    static final String PASSWORD = "correct horse battery staple";

    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(arguments[0]);
        String email = arguments[1];
        AuthApi door = new AuthApi(client);
        Account account = door.register(new Registration().email(email).password(PASSWORD));
        System.out.println("role " + account.getRole());
        SignIn signedIn = door.login(new Credentials().email(email).password(PASSWORD));
        String bearer = "Bearer " + signedIn.getAccessToken();
        client.setRequestInterceptor(request -> request.header("Authorization", bearer));
        AuthApi auth = new AuthApi(client);
        System.out.println("me " + auth.getMe(null).getEmail().equals(email));
        write(new PostsApi(client));
        List<AuditEvent> events = new AuditApi(client).listAuditEvents(null, null, null, 100, null);
        System.out.println("actions " + events.get(0).getAction());
        System.out.println("sessions " + auth.listSessions(null, null).size());
        List<String> lines = Files.readAllLines(auth.exportAccount().toPath());
        System.out.println("exported " + lines.get(1).contains("of-tomorrow"));
        System.out.println(refusal(new PostsApi(client), account.getId()));
    }

    static void write(PostsApi posts) throws ApiException {
        Post post = posts.createPost(new NewPost().title("Tea").content("Warm."), "once");
        System.out.println("field " + post.getAdditionalProperty("of_tomorrow"));
        ApiResponse<Post> read = posts.getPostWithHttpInfo(post.getId(), null);
        String tag = read.getHeaders().get("etag").get(0);
        PostChanges changes = new PostChanges().title("Green tea");
        System.out.println("title " + posts.updatePost(post.getId(), tag, changes).getTitle());
        System.out.println("listed " + posts.listPosts(null, null, null, null, 1, null).size());
    }

    static String refusal(PostsApi posts, UUID id) {
        try {
            return posts.getPost(id, null).toString();
        } catch (ApiException error) {
            return "refused " + error.getCode() + " " + error.getResponseBody();
        }
    }
}
