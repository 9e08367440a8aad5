// The whole tour in the generated TypeScript client, compiled strictly (test_tours.py).
//
// Arguments: the address of a server, and of one with the same database whose access tokens expire
// after a second; the folder of their mails; and an access token of an administrator.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import {
  type Client,
  changeEmail,
  changePassword,
  completeEmailVerification,
  completePasswordReset,
  createClient,
  createPost,
  deletePost,
  deleteUser,
  disputeEmailVerification,
  exportAccount,
  getMe,
  getPost,
  getUser,
  listPosts,
  listSessions,
  login,
  type Post,
  type Problem,
  recoverAccount,
  refresh,
  register,
  requestEmailVerification,
  revokeSession,
  searchPosts,
  type TokenPair,
  undoEmailChange,
  updatePost,
} from 'byline-client';

const [baseUrl = '', briefly = '', mails = '', admin = ''] = process.argv.slice(2);
const me = { email: 'tour-in-typescript@example.com', password: 'correct horse battery staple' };
const new_password = 'seven purple herons at dawn';
const posts = 250;
const patience = 60_000; // milliseconds

const anonymous = createClient({ baseUrl });

type Answer<Data> = { data?: Data; error?: Problem; response?: Response };

/** The data of an answer that has to be a success. */
function good<Data>(answer: Answer<Data>): Data {
  assert.equal(answer.error, undefined, answer.error?.detail);
  assert(answer.data !== undefined);
  return answer.data;
}

/** The code of an answer that has to be a problem. */
function refused({ error, response }: Answer<unknown>) {
  assert(error);
  assert.equal(error.status, response?.status);
  return error.code;
}

const bearing = (token: string) => createClient({ baseUrl, auth: token });

/** A new pair, once the access token has expired. */
async function refreshed(tokens: TokenPair): Promise<TokenPair> {
  let client = bearing(tokens.access_token);
  const deadline = Date.now() + patience;
  let answer = await getMe({ client });
  for (; answer.data; answer = await getMe({ client })) {
    assert(Date.now() < deadline);
    await setTimeout(50);
  }
  assert.equal(refused(answer), 'token-expired');
  return good(await refresh({ client: anonymous, auth: tokens.refresh_token }));
}

/** A post that is sent twice and written once. */
async function retried(client: Client): Promise<Post> {
  const body = { title: 'In the Café', content: 'Two at the Café.' };
  const headers = { 'Idempotency-Key': crypto.randomUUID() };
  const first = await createPost({ client, body, headers });
  const again = await createPost({ client, body, headers });
  assert.deepEqual(good(again), good(first));
  assert.equal(first.response?.headers.has('Idempotency-Replayed'), false);
  assert.equal(again.response?.headers.get('Idempotency-Replayed'), 'true');
  assert.equal(first.response?.headers.get('Location'), `/api/posts/${good(first).id}`);
  return good(first);
}

/** A change is made from the version that was read, and from no other. */
async function changed(client: Client, { id }: Post): Promise<void> {
  const path = { post_id: id };
  const etag = (await getPost({ client, path })).response?.headers.get('ETag');
  assert(etag);
  const unchanged = await getPost({ client, path, headers: { 'If-None-Match': etag } });
  assert.equal(unchanged.response?.status, 304);

  const change = (title: string) =>
    updatePost({ client, path, body: { title }, headers: { 'If-Match': etag } });
  assert.equal(good(await change('In a café')).title, 'In a café');
  assert.equal(refused(await change('In the other café')), 'precondition-failed');
  assert.equal(good(await getPost({ client, path })).title, 'In a café');
}

/** Every post once, newest first, by the links. */
async function paged(client: Client, author_id: string, written: string[]): Promise<void> {
  const found: string[] = [];
  let after: string | undefined;
  let pages = 0;
  do {
    const page = await listPosts({ client, query: { author_id, limit: 40, after } });
    found.push(...good(page).map(({ id }) => id));
    pages++;
    const link = page.response?.headers.get('Link');
    after = link ? found.at(-1) : undefined;
    assert(link?.includes(`after=${after}`) ?? true);
  } while (after);
  assert.deepEqual(found, [...written].reverse());
  assert.equal(pages, Math.ceil(written.length / 40));
}

async function searched(client: Client, post: Post): Promise<void> {
  const { results } = good(await searchPosts({ client, query: { q: 'cafe' } }));
  const found = results.map((result) => [result.post.id, result.snippet]);
  assert.deepEqual(found, [[post.id, 'Two at the <mark>Café</mark>.']]);
}

/** Another session is seen, ended, and its token no longer good. */
async function signedOutElsewhere(client: Client): Promise<void> {
  const elsewhere = bearing(good(await login({ client, body: me })).access_token);
  const sessions = good(await listSessions({ client }));
  const [other] = sessions.filter(({ current }) => !current);
  assert(other && sessions.length === 2);
  const ended = await revokeSession({ client, path: { session_id: other.id } });
  assert.equal(ended.response?.status, 204);
  assert.equal(refused(await getMe({ client: elsewhere })), 'session-revoked');
}

/** A new password ends every session, the caller's too, and starts the one that goes on. */
async function secured(client: Client): Promise<Client> {
  const body = { current_password: me.password, new_password };
  const pair = good(await changePassword({ client, body }));
  assert.equal(refused(await getMe({ client })), 'session-revoked');
  const after = bearing(pair.access_token);
  assert.equal(good(await getMe({ client: after })).email, me.email);
  return after;
}

/** Everything, in one piece and as a stream. */
async function exported(client: Client): Promise<void> {
  const whole = (await good(await exportAccount({ client })).text()).trimEnd().split('\n');
  const { response } = await exportAccount({ client, parseAs: 'stream' });
  assert(response?.body);
  let text = '';
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) text += part;
  const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, whole.length + 1); // the event of the first export
  assert.equal(lines[0].email, me.email);
  assert.equal(lines.filter(({ type }) => type === 'post').length, posts);
}

/** The token in the mail of this number and subject to an address, once it has come. */
async function mailed(address: string, subject: string, number = 1): Promise<string> {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = readdirSync(mails)
      .filter((name) => name.endsWith('.eml'))
      .sort()
      .map((name) => readFileSync(`${mails}/${name}`, 'utf8'))
      .filter((mail) => mail.includes(`\r\nTo: ${address}\r\n`))
      .filter((mail) => mail.includes(`] ${subject}\r\n`));
    const token = found[number - 1]?.match(/\?token=([\w-]+)/)?.[1];
    if (token) return token;
    assert(Date.now() < deadline, subject);
    await setTimeout(50);
  }
}

async function confirmed(address: string, subject: string, number = 1): Promise<void> {
  const body = { token: await mailed(address, subject, number) };
  const answer = await completeEmailVerification({ client: anonymous, body });
  assert.equal(answer.response?.status, 204);
}

/** Somebody else has registered an address; its owner ends that account. */
async function disputed(): Promise<void> {
  const stranger = { ...me, email: `disputed-${me.email}` };
  good(await register({ client: anonymous, body: stranger }));
  const body = { token: await mailed(stranger.email, 'Confirm your e-mail address') };
  const answer = await disputeEmailVerification({ client: anonymous, body });
  assert.equal(answer.response?.status, 204);
  assert.equal(refused(await login({ client: anonymous, body: stranger })), 'invalid-credentials');
}

/** An address is confirmed by a second mail, stolen, taken back, and its account recovered. */
async function takenBack(): Promise<void> {
  const owner = { ...me, email: `owner-${me.email}` };
  const thief = `thief-${me.email}`;
  const { id } = good(await register({ client: anonymous, body: owner }));
  await mailed(owner.email, 'Confirm your e-mail address');
  const ask = { client: anonymous, body: { email: owner.email } };
  assert.equal((await requestEmailVerification(ask)).response?.status, 202);
  await confirmed(owner.email, 'Confirm your e-mail address', 2);

  const client = bearing(good(await login({ client: anonymous, body: owner })).access_token);
  const change = { email: thief, current_password: owner.password };
  assert.equal((await changeEmail({ client, body: change })).response?.status, 202);
  await confirmed(thief, 'Confirm your new e-mail address');
  const body = { token: await mailed(owner.email, 'Your e-mail address was changed') };
  assert.equal((await undoEmailChange({ client: anonymous, body })).response?.status, 204);
  assert.equal(refused(await getMe({ client })), 'session-revoked');

  await mailed(owner.email, 'Choose a new password');
  const recovery = await recoverAccount({ client: bearing(admin), path: { user_id: id } });
  assert.equal(recovery.response?.status, 202);
  const reset = { token: await mailed(owner.email, 'Choose a new password', 2), new_password };
  const done = await completePasswordReset({ client: anonymous, body: reset });
  assert.equal(done.response?.status, 204);
  const again = { email: owner.email, password: new_password };
  assert.equal(good(await login({ client: anonymous, body: again })).user.email, owner.email);
}

async function deleted(client: Client, { id, author }: Post): Promise<void> {
  const path = { post_id: id };
  assert.equal((await deletePost({ client, path })).response?.status, 204);
  assert.equal(refused(await getPost({ client: anonymous, path })), 'not-found');
  const owner = { client, path: { user_id: author.id } };
  assert.equal(good(await getUser(owner)).username, author.username);
  assert.equal((await deleteUser(owner)).response?.status, 204);
  assert.equal(refused(await getUser(owner)), 'not-found');
}

await disputed();
await takenBack();
const account = good(await register({ client: anonymous, body: me }));
const brief = good(await login({ client: createClient({ baseUrl: briefly }), body: me }));
let client = bearing((await refreshed(brief)).access_token);
const post = await retried(client);
await changed(client, post);
const written = [post.id];
for (let number = 1; number < posts; number++) {
  const body = { title: `Number ${number}`, content: 'Some words.' };
  written.push(good(await createPost({ client, body })).id);
}
await paged(client, account.id, written);
await searched(client, post);
await signedOutElsewhere(client);
client = await secured(client);
await exported(client);
await deleted(client, post);
