// Every problem that a call of the TypeScript client can come to, as its exception.
//
// Arguments: the addresses of a server, of a strict one with the same database (test_problems.py),
// and of one whose posts cannot be written; the only admin's e-mail address; passkeys and an app.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import * as client from 'byline-client';
import {
  ApiError,
  Byline,
  type CallOptions,
  memoryStore,
  type ProblemCode,
  type RegistrationResponseJSON,
  type SessionStore,
} from 'byline-client';

type Passkeys = {
  credential: RegistrationResponseJSON;
  full: string;
  lonely: string;
  id: string;
  stale: string;
  crowded: string;
  scoped: string;
};

const [baseUrl = '', strict = '', stuck = '', adminEmail = '', json = ''] = process.argv.slice(2);
type App = { email: string; codes: string[] };
const passkeys: Passkeys & App = JSON.parse(json);
const password = 'correct horse battery staple';
const patience = 60_000; // milliseconds
const text = { title: 'A title', content: 'Some words.' };
const anonymous = new Byline(baseUrl);
// A name that the server does not answer to.
const elsewhere = new Byline(baseUrl.replace('127.0.0.1', 'localhost'));

const email = () => `${crypto.randomUUID()}@example.com`;

/** A client that does not try again, so that it sees each refusal. */
const bearing = (token: string, at = baseUrl) => new Byline(at, { token, retries: 0 });

async function signedIn(email: string, at = baseUrl, store: SessionStore = memoryStore()) {
  const byline = new Byline(at, { store, retries: 0 });
  const { user } = await byline.signIn(email, password);
  return { byline, user };
}

async function signedUp(at = baseUrl) {
  const { email: address } = await new Byline(at).auth.register({ email: email(), password });
  return signedIn(address, at);
}

const [anna, ben, carl] = [await signedUp(), await signedUp(), await signedUp()];
const admin = await signedIn(adminEmail);
const hers = anna.byline;
const post = await hers.posts.create(text);
const ANY = { ifMatch: '*' };

/** A client of Anna's with a change to what it sends. */
async function changing(change: (headers: Record<string, string>) => void): Promise<Byline> {
  const store = memoryStore();
  await signedIn(anna.user.email, baseUrl, store);
  const fetch: client.Fetch = (url, init) => {
    change(init.headers);
    return globalThis.fetch(url, init);
  };
  return new Byline(baseUrl, { store, fetch });
}

const signingIn = (email: string, secret = password, at = baseUrl) =>
  new Byline(at).signIn(email, secret);

/** Sign in to the account with an authenticator app, with this code as the second step. */
function completing(code = '') {
  const secondFactor = ({ problem }: ApiError) => {
    assert.deepEqual(problem.methods, ['totp', 'recovery-code']);
    return code;
  };
  return new Byline(baseUrl, { secondFactor }).signIn(passkeys.email, password);
}

await completing(passkeys.codes[1]);

const registering = (fields: { email?: string; password?: string; username?: string }) =>
  anonymous.auth.register({ email: email(), password, ...fields });

const posting = (fields: Partial<typeof text>, byline = hers) =>
  byline.posts.create({ ...text, ...fields });

const editing = (byline = hers, options: CallOptions = ANY) =>
  byline.posts.update(post, { title: 'Another title' }, options);

const keyed = (title: string) => hers.posts.create({ ...text, title }, { idempotencyKey: 'one' });

async function beingDisabled() {
  await admin.byline.users.update(carl.user, { disabled: true }, ANY);
  return signingIn(carl.user.email);
}

/** A token of a session of Ben's that has expired. */
async function expiring() {
  const store = memoryStore();
  await signedIn(ben.user.email, baseUrl, store);
  const { service: _, ...tokens } = (await store.get()) as client.SessionTokens;
  await store.set(tokens); // the other address is of the same service
  const { access_token } = await new Byline(strict, { store }).auth.refresh();
  const byline = bearing(access_token);
  for (const deadline = Date.now() + patience; Date.now() < deadline; await setTimeout(50))
    await byline.auth.getMe();
}

async function reusing() {
  const store = memoryStore();
  const { byline } = await signedIn(anna.user.email, baseUrl, store);
  const oldest = await store.get();
  await byline.auth.refresh();
  await byline.auth.refresh();
  await store.set(oldest);
  return byline.auth.refresh();
}

async function leaving() {
  const store = memoryStore();
  const { byline } = await signedIn(anna.user.email, baseUrl, store);
  const tokens = await store.get();
  await byline.signOut();
  return bearing(tokens?.access_token ?? '').auth.getMe();
}

/** Two posts with one key: one waits in vain, and the other does not wait for it. */
async function atOnce(): Promise<ApiError[]> {
  const { byline } = await signedUp(stuck);
  const call = () => byline.posts.create(text, { idempotencyKey: 'one', timeout: patience });
  let errors: ApiError[] = [];
  for (let tries = 5; tries > 0; tries--) {
    errors = (await Promise.allSettled([call(), call()])).map((outcome) => {
      assert(outcome.status === 'rejected' && outcome.reason instanceof ApiError);
      return outcome.reason;
    });
    errors.sort((one, other) => one.status - other.status);
    if (errors[0]?.status !== errors[1]?.status) break;
    // The second came only when the first had given up.
  }
  return errors;
}

async function searching() {
  await anonymous.posts.search({ q: 'words' });
  return anonymous.posts.search({ q: 'words' });
}

function clientData(kind: string, challenge: string): string {
  const origin = 'http://localhost:8000';
  const said = JSON.stringify({ type: `webauthn.${kind}`, challenge, origin });
  return Buffer.from(said).toString('base64url');
}

/** Add the passkey that is taken: without attestation, nothing in it is signed. */
async function adding(byline = hers, challenge = '') {
  const options = await byline.passkeys.start();
  const clientDataJSON = clientData('create', challenge || options.challenge);
  const response = { ...passkeys.credential.response, clientDataJSON };
  const credential = { ...passkeys.credential, response };
  return byline.passkeys.add({ name: 'Laptop', credential });
}

/** Sign in with a passkey whose signature is wrong. */
async function using(id: string, challenge = '') {
  const begun = await anonymous.passkeys.startPasskeyLogin();
  const clientDataJSON = clientData('get', begun.passkey_options.challenge);
  const response = { clientDataJSON, authenticatorData: 'AAAA', signature: 'AAAA' };
  const passkey = { id, rawId: id, type: 'public-key' as const, response };
  return anonymous.passkeys.loginWithPasskey({ challenge: challenge || begun.challenge, passkey });
}

const taken = passkeys.credential.id;
const [inUse, unavailable] = await atOnce();

const calls: Partial<Record<ProblemCode, () => Promise<unknown>>> = {
  'invalid-request': () => posting({ title: '' }),
  'malformed-body': () => posting({ content: '\0' }),
  'bad-request': () => anonymous.posts.get('\n'),
  'host-not-allowed': () => elsewhere.posts.get(post),
  'weak-password': () => registering({ password: 'password123' }),
  'token-invalid': () => anonymous.auth.completeEmailVerification({ token: 'x' }),
  'passkey-invalid': () => adding(hers, 'AAAA'),
  'passkey-taken': () => adding(),
  'too-many-passkeys': () => adding(bearing(passkeys.full)),
  'last-passkey': () => bearing(passkeys.lonely).passkeys.delete(passkeys.id),
  'passkey-wrong': () => using(taken),
  'passkey-unknown': () => using([...taken].reverse().join('')),
  'challenge-invalid': () => using(taken, 'x'),
  'authentication-required': () => anonymous.auth.getMe(),
  'invalid-token': () => bearing('x').auth.getMe(),
  'token-expired': expiring,
  'token-reused': reusing,
  'session-revoked': leaving,
  'second-factor-required': () => signingIn(passkeys.email),
  'second-factor-wrong': () => completing('000000'),
  'second-factor-missing': () => hers.factors.renewRecoveryCodes(),
  'invalid-credentials': () => signingIn(anna.user.email, 'wrong'),
  'authentication-too-old': () => bearing(passkeys.stale).auth.revokeOtherSessions(),
  forbidden: () => editing(ben.byline),
  'scope-missing': () => editing(bearing(passkeys.scoped)),
  'too-many-tokens': () =>
    bearing(passkeys.crowded).tokens.create({ name: 'One more', scopes: ['account:read'] }),
  'origin-not-allowed': () =>
    anonymous.auth.login({ email: adminEmail, password, transport: 'cookie' }),
  'admin-required': () => hers.users.listAccounts().toArray(),
  'admin-only-field': () => hers.users.update(anna.user, { role: 'admin' }, ANY),
  'account-disabled': beingDisabled,
  'email-unverified': () => signingIn(anna.user.email, password, strict),
  'current-password-wrong': () =>
    hers.auth.changePassword({ current_password: 'wrong', new_password: password }),
  'not-found': () => anonymous.posts.get(anna.user.id),
  'quota-exceeded': () => posting({ content: 'x'.repeat(60_000) }),
  'email-taken': () => registering({ email: anna.user.email }),
  'username-taken': () => registering({ username: anna.user.username }),
  'last-admin': () => admin.byline.users.update(admin.user, { role: 'user' }, ANY),
  'idempotency-key-in-use': () => Promise.reject(inUse),
  'precondition-failed': () => editing(hers, { ifMatch: '"stale"' }),
  'body-too-large': () => posting({ content: 'x'.repeat(2 ** 20) }),
  'unsupported-media-type': async () =>
    posting({}, await changing((headers) => (headers['Content-Type'] = 'text/plain'))),
  'idempotency-key-reused': async () => {
    await keyed('One');
    return keyed('Another');
  },
  'precondition-required': async () =>
    editing(await changing((headers) => delete headers['If-Match'])),
  'rate-limited': searching,
  'headers-too-large': () =>
    anonymous.posts.get(post, { headers: { 'If-None-Match': 'x'.repeat(40_000) } }),
  unavailable: () => Promise.reject(unavailable),
};

for (const [code, call] of Object.entries(calls)) {
  const error: unknown = await call().then(() => undefined, (reason) => reason);
  assert(error instanceof ApiError, `${code}: ${error}`);
  assert.equal(error.code, code, error.detail);
  assert.equal(error.problem.status, error.status);
  assert.equal(error.headers.get('X-Request-Id'), error.requestId);
  const name = code.replace(/(^|-)./g, (start) => start.slice(-1).toUpperCase());
  assert.equal(error.name, name);
  assert(error instanceof client[name as 'NotFound']);
  assert.equal(Object.getPrototypeOf(error.constructor), ApiError);
  console.log(code);
}
