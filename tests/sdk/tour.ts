// The whole tour in the TypeScript client, compiled strictly (test_tours.py).
//
// Arguments: the address of a server, and of one with the same database whose access tokens expire
// after a second; the folder of their mails; and an access token of an administrator.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import {
  type Account,
  type AuthChange,
  Byline,
  InvalidCredentials,
  memoryStore,
  NotFound,
  type Post,
  PreconditionFailed,
  SessionRevoked,
  TokenExpired,
} from 'byline-client';

const [baseUrl = '', briefly = '', mails = '', admin = ''] = process.argv.slice(2);
const me = { email: 'tour-in-typescript@example.com', password: 'correct horse battery staple' };
const new_password = 'seven purple herons at dawn';
const posts = 250;
const patience = 60_000; // milliseconds

const anonymous = new Byline(baseUrl);

async function signedIn({ email, password }: typeof me): Promise<Byline> {
  const byline = new Byline(baseUrl);
  const { user } = await byline.signIn(email, password);
  assert.equal(user.email, email);
  return byline;
}

/** A client whose access token has expired, and was renewed by itself, once for fifty calls. */
async function refreshed(): Promise<Byline> {
  const store = memoryStore();
  await new Byline(briefly, { store }).signIn(me.email, me.password);
  const tokens = await store.get();
  assert(tokens);
  delete tokens.service; // it is the same one at another address
  // As with a clock that is behind, only the service knows that the token has expired.
  await store.set({ ...tokens, expires_at: Number.MAX_SAFE_INTEGER });

  const deadline = Date.now() + patience;
  const old = new Byline(baseUrl, { token: tokens.access_token });
  while ((await old.auth.getMe().catch((error) => error instanceof TokenExpired)) !== true) {
    assert(Date.now() < deadline);
    await setTimeout(50);
  }

  const changes: AuthChange[] = [];
  const sent: string[] = [];
  const byline = new Byline(baseUrl, {
    store,
    onAuthChange: (change) => changes.push(change),
    onExchange: ({ operation, status }) => sent.push(`${operation} ${status}`),
  });
  const answers = await Promise.all(Array.from({ length: 50 }, () => byline.auth.getMe()));
  assert(answers.every(({ email }) => email === me.email));
  assert.equal(sent.filter((each) => each === 'auth.getMe 200').length, 50);
  assert.equal(sent.filter((each) => each.startsWith('auth.refresh')).length, 1);
  assert.deepEqual(changes, ['signed-in', 'refreshed']);
  assert.notEqual((await store.get())?.refresh_token, tokens.refresh_token);
  return byline;
}

/** A post that is sent twice and written once. */
async function retried(byline: Byline): Promise<Post> {
  const body = { title: 'In the Café', content: 'Two at the Café.' };
  const options = { idempotencyKey: crypto.randomUUID() };
  const first = await byline.request('posts.create', body, options);
  const again = await byline.request('posts.create', body, options);
  assert.equal(first.status, 201);
  assert.deepEqual(again.data, first.data);
  assert.equal(first.headers.has('Idempotency-Replayed'), false);
  assert.equal(again.headers.get('Idempotency-Replayed'), 'true');
  assert.equal(first.headers.get('Location'), `/api/posts/${first.data.id}`);
  return first.data;
}

/** A change is made from the version that was read, and from no other. */
async function changed(byline: Byline, { id }: Post): Promise<void> {
  const read = await byline.request('posts.get', id);
  const etag = read.headers.get('ETag');
  assert(etag);
  const options = { headers: { 'If-None-Match': etag } };
  const unchanged = await byline.request('posts.get', id, options);
  assert.equal(unchanged.status, 304);
  assert.equal(unchanged.data, undefined);

  const post = await byline.posts.get(id);
  assert.equal((await byline.posts.update(post, { title: 'In a café' })).title, 'In a café');
  for (const stale of [
    () => byline.posts.update(post, { title: 'In the other café' }),
    () => byline.posts.update(id, { title: 'In the other café' }, { ifMatch: etag }),
  ]) {
    await assert.rejects(stale, (error) => {
      assert(error instanceof PreconditionFailed);
      assert.equal(error.code, 'precondition-failed');
      assert.equal((error.current as Post).title, 'In a café');
      return true;
    });
  }
  assert.equal((await byline.posts.get(id)).title, 'In a café');
}

/** Every post once, newest first, by the links. */
async function paged(byline: Byline, author_id: string, written: string[]): Promise<void> {
  const list = byline.posts.list({ author_id, limit: 40 });
  const found: string[] = [];
  for await (const { id } of list) found.push(id);
  assert.deepEqual(found, [...written].reverse());
  const sizes: number[] = [];
  for await (const page of list.pages()) sizes.push(page.length);
  assert.deepEqual(sizes, [40, 40, 40, 40, 40, 40, 10]);

  const page = await byline.request('posts.list', { author_id, limit: 40 });
  assert(page.headers.get('Link')?.includes(`after=${page.data.at(-1)?.id}`));
}

async function searched(byline: Byline, post: Post): Promise<void> {
  const { results } = await byline.posts.search({ q: 'cafe' });
  const found = results.map((result) => [result.post.id, result.snippet]);
  assert.deepEqual(found, [[post.id, 'Two at the <mark>Café</mark>.']]);
}

/** Another session is seen, ended, and its token no longer good. */
async function signedOutElsewhere(byline: Byline): Promise<void> {
  const elsewhere = await signedIn(me);
  const sessions = await byline.auth.listSessions().toArray();
  const [other] = sessions.filter(({ current }) => !current);
  assert(other && sessions.length === 2);
  await byline.auth.revokeSession(other);
  await assert.rejects(elsewhere.auth.getMe(), SessionRevoked);
}

/** A new password ends every session, the caller's too, and starts the one that goes on. */
async function secured(byline: Byline, token: string): Promise<void> {
  await byline.auth.changePassword({ current_password: me.password, new_password });
  await assert.rejects(new Byline(baseUrl, { token }).auth.getMe(), SessionRevoked);
  assert.equal((await byline.auth.getMe()).email, me.email);
}

async function taken<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Everything, in one piece and line by line. */
async function exported(byline: Byline): Promise<void> {
  const whole = Buffer.concat(await taken(byline.auth.export().bytes()));
  const lines = await taken(byline.auth.export());
  assert.equal(lines.length, whole.toString().trimEnd().split('\n').length + 1); // the first export
  const [account] = lines;
  assert(account?.type === 'account' && account.email === me.email);
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
  await anonymous.auth.completeEmailVerification({ token: await mailed(address, subject, number) });
}

/** Somebody else has registered an address; its owner ends that account. */
async function disputed(): Promise<void> {
  const stranger = { ...me, email: `disputed-${me.email}` };
  await anonymous.auth.register(stranger);
  const token = await mailed(stranger.email, 'Confirm your e-mail address');
  await anonymous.auth.disputeEmailVerification({ token });
  await assert.rejects(signedIn(stranger), InvalidCredentials);
}

/** An address is confirmed by a second mail, stolen, taken back, and its account recovered. */
async function takenBack(): Promise<void> {
  const owner = { ...me, email: `owner-${me.email}` };
  const thief = `thief-${me.email}`;
  const account = await anonymous.auth.register(owner);
  await mailed(owner.email, 'Confirm your e-mail address');
  const asked = await anonymous.request('auth.requestEmailVerification', { email: owner.email });
  assert.equal(asked.status, 202);
  await confirmed(owner.email, 'Confirm your e-mail address', 2);

  const byline = await signedIn(owner);
  await byline.auth.changeEmail({ email: thief, current_password: owner.password });
  await confirmed(thief, 'Confirm your new e-mail address');
  const token = await mailed(owner.email, 'Your e-mail address was changed');
  await anonymous.auth.undoEmailChange({ token });
  await assert.rejects(byline.auth.getMe(), SessionRevoked);

  await mailed(owner.email, 'Choose a new password');
  await new Byline(baseUrl, { token: admin }).users.recoverAccount(account);
  const reset = { token: await mailed(owner.email, 'Choose a new password', 2), new_password };
  await anonymous.auth.completePasswordReset(reset);
  await signedIn({ email: owner.email, password: new_password });
}

async function deleted(byline: Byline, post: Post, account: Account): Promise<void> {
  await byline.posts.delete(post);
  const gone = (error: unknown) => error instanceof NotFound && error.status === 404;
  await assert.rejects(anonymous.posts.get(post), gone);
  assert.equal((await byline.users.get(post.author)).username, account.username);
  await byline.users.delete(account);
  await assert.rejects(anonymous.users.get(account), gone);
}

await disputed();
await takenBack();
const account = await anonymous.auth.register(me);
const byline = await refreshed();
const post = await retried(byline);
await changed(byline, post);
const written = [post.id];
for (let number = 1; number < posts; number++) {
  const { id } = await byline.posts.create({ title: `Number ${number}`, content: 'Some words.' });
  written.push(id);
}
await paged(byline, account.id, written);
await searched(byline, post);
await signedOutElsewhere(byline);
const { access_token } = await new Byline(baseUrl).signIn(me.email, me.password);
await secured(byline, access_token);
await exported(byline);
await deleted(byline, post, account);
