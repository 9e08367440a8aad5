// Every problem that a call of the generated TypeScript client can come to, typed and by its code.
//
// Arguments: the addresses of a server, of a strict one with the same database (test_problems.py),
// and of one whose posts cannot be written; the only admin's e-mail address; passkeys and an app.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import {
  addPasskey,
  changePassword,
  completeEmailVerification,
  completeLogin,
  createClient,
  createPersonalToken,
  createPost,
  deletePasskey,
  getMe,
  getPost,
  listAccounts,
  login,
  loginWithPasskey,
  logout,
  type Problem,
  type ProblemCode,
  type RegistrationResponseJson,
  refresh,
  register,
  revokeOtherSessions,
  renewRecoveryCodes,
  type SignIn,
  searchPosts,
  startPasskey,
  startPasskeyLogin,
  updatePost,
  updateUser,
} from 'byline-client';

type Answer<Data = unknown> = { data?: Data; error?: Problem; response?: Response };

type Passkeys = {
  credential: RegistrationResponseJson;
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
const anonymous = createClient({ baseUrl });
// A name that the server does not answer to.
const elsewhere = createClient({ baseUrl: baseUrl.replace('127.0.0.1', 'localhost') });

function good<Data>(answer: Answer<Data>): Data {
  assert(answer.data, answer.error?.detail);
  return answer.data;
}

const email = () => `${crypto.randomUUID()}@example.com`;

async function signedIn(email: string): Promise<SignIn> {
  return good(await login({ client: anonymous, body: { email, password } }));
}

async function signedUp(at = baseUrl): Promise<SignIn> {
  const client = createClient({ baseUrl: at });
  const body = { email: email(), password };
  good(await register({ client, body }));
  return good(await login({ client, body }));
}

const bearing = (token = '', at = baseUrl) => createClient({ baseUrl: at, auth: token });

const [anna, ben, carl] = [await signedUp(), await signedUp(), await signedUp()];
const admin = await signedIn(adminEmail);
const hers = bearing(anna.access_token);
const his = bearing(ben.access_token);
const admins = bearing(admin.access_token);
const post = good(await createPost({ client: hers, body: text }));
const path = { post_id: post.id };
const ANY = { 'If-Match': '*' };

/** Anna's client with a change to what it sends. */
function changing(change: (headers: Headers) => void) {
  const client = bearing(anna.access_token);
  client.interceptors.request.use((request) => {
    change(request.headers);
    return request;
  });
  return client;
}

const signingIn = (email: string, secret = password, at = baseUrl) =>
  login({ client: createClient({ baseUrl: at }), body: { email, password: secret } });

/** Sign in to the account with an authenticator app, with this code as the second step. */
async function completing(code = '') {
  const { error } = await signingIn(passkeys.email);
  assert.deepEqual(error?.methods, ['totp', 'recovery-code']);
  return completeLogin({ client: anonymous, body: { challenge: error?.challenge ?? '', code } });
}

good(await completing(passkeys.codes[1]));

const registering = (fields: { email?: string; password?: string; username?: string }) =>
  register({ client: anonymous, body: { email: email(), password, ...fields } });

const posting = (fields: Partial<typeof text>, client = hers) =>
  createPost({ client, body: { ...text, ...fields } });

const editing = (client = hers, headers = ANY) =>
  updatePost({ client, path, body: { title: 'Another title' }, headers });

const keyed = (title: string) =>
  createPost({ client: hers, body: { ...text, title }, headers: { 'Idempotency-Key': 'one' } });

async function beingDisabled(): Promise<Answer> {
  const target = { path: { user_id: carl.user.id }, headers: ANY };
  good(await updateUser({ client: admins, ...target, body: { disabled: true } }));
  return signingIn(carl.user.email);
}

async function expiring(): Promise<Answer> {
  const pair = good(await refresh({ client: bearing(ben.refresh_token, strict) }));
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await getMe({ client: bearing(pair.access_token) });
    if (answer.error) return answer;
    assert(Date.now() < deadline);
    await setTimeout(50);
  }
}

async function reusing(): Promise<Answer> {
  const oldest = (await signedIn(anna.user.email)).refresh_token;
  let token = oldest;
  for (let times = 2; times > 0; times--)
    token = good(await refresh({ client: bearing(token) })).refresh_token;
  return refresh({ client: bearing(oldest) });
}

async function leaving(): Promise<Answer> {
  const client = bearing((await signedIn(anna.user.email)).access_token);
  await logout({ client });
  return getMe({ client });
}

/** Two posts with one key: one waits in vain, and the other does not wait for it. */
async function atOnce(): Promise<Answer[]> {
  const client = bearing((await signedUp(stuck)).access_token, stuck);
  const call = () => createPost({ client, body: text, headers: { 'Idempotency-Key': 'one' } });
  let answers: Answer[] = [];
  for (let tries = 5; tries > 0; tries--) {
    answers = await Promise.all([call(), call()]);
    answers.sort((one, other) => (one.error?.status ?? 0) - (other.error?.status ?? 0));
    if (answers[0]?.error?.status !== answers[1]?.error?.status) break;
    // The second came only when the first had given up.
  }
  return answers;
}

async function searching(): Promise<Answer> {
  await searchPosts({ client: anonymous, query: { q: 'words' } });
  return searchPosts({ client: anonymous, query: { q: 'words' } });
}

function clientData(kind: string, challenge: string): string {
  const origin = 'http://localhost:8000';
  const said = JSON.stringify({ type: `webauthn.${kind}`, challenge, origin });
  return Buffer.from(said).toString('base64url');
}

/** Add the passkey that is taken: without attestation, nothing in it is signed. */
async function adding(client = hers, challenge = ''): Promise<Answer> {
  const options = good(await startPasskey({ client }));
  const clientDataJSON = clientData('create', challenge || options.challenge);
  const response = { ...passkeys.credential.response, clientDataJSON };
  const credential = { ...passkeys.credential, response };
  return addPasskey({ client, body: { name: 'Laptop', credential } });
}

/** Sign in with a passkey whose signature is wrong. */
async function using(id: string, challenge = ''): Promise<Answer> {
  const begun = good(await startPasskeyLogin({ client: anonymous }));
  const clientDataJSON = clientData('get', begun.passkey_options.challenge);
  const response = { clientDataJSON, authenticatorData: 'AAAA', signature: 'AAAA' };
  const passkey = { id, rawId: id, type: 'public-key' as const, response };
  const body = { challenge: challenge || begun.challenge, passkey };
  return loginWithPasskey({ client: anonymous, body });
}

const taken = passkeys.credential.id;
const [inUse = {}, unavailable = {}] = await atOnce();

const calls: Partial<Record<ProblemCode, () => Answer | Promise<Answer>>> = {
  'invalid-request': () => posting({ title: '' }),
  'malformed-body': () => posting({ content: '\0' }),
  'bad-request': () => getPost({ client: anonymous, path: { post_id: '\n' } }),
  'host-not-allowed': () => getPost({ client: elsewhere, path }),
  'weak-password': () => registering({ password: 'password123' }),
  'token-invalid': () => completeEmailVerification({ client: anonymous, body: { token: 'x' } }),
  'passkey-invalid': () => adding(hers, 'AAAA'),
  'passkey-taken': () => adding(),
  'too-many-passkeys': () => adding(bearing(passkeys.full)),
  'last-passkey': () =>
    deletePasskey({ client: bearing(passkeys.lonely), path: { passkey_id: passkeys.id } }),
  'passkey-wrong': () => using(taken),
  'passkey-unknown': () => using([...taken].reverse().join('')),
  'challenge-invalid': () => using(taken, 'x'),
  'authentication-required': () => getMe({ client: anonymous }),
  'invalid-token': () => getMe({ client: bearing('x') }),
  'token-expired': expiring,
  'token-reused': reusing,
  'session-revoked': leaving,
  'second-factor-required': () => signingIn(passkeys.email),
  'second-factor-wrong': () => completing('000000'),
  'second-factor-missing': () => renewRecoveryCodes({ client: hers }),
  'invalid-credentials': () => signingIn(anna.user.email, 'wrong'),
  'authentication-too-old': () => revokeOtherSessions({ client: bearing(passkeys.stale) }),
  forbidden: () => editing(his),
  'scope-missing': () => editing(bearing(passkeys.scoped)),
  'too-many-tokens': () =>
    createPersonalToken({
      client: bearing(passkeys.crowded),
      body: { name: 'One more', scopes: ['account:read'] },
    }),
  'origin-not-allowed': () =>
    login({ client: anonymous, body: { email: adminEmail, password, transport: 'cookie' } }),
  'admin-required': () => listAccounts({ client: hers }),
  'admin-only-field': () =>
    updateUser({
      client: hers,
      path: { user_id: anna.user.id },
      body: { role: 'admin' },
      headers: ANY,
    }),
  'account-disabled': beingDisabled,
  'email-unverified': () => signingIn(anna.user.email, password, strict),
  'current-password-wrong': () =>
    changePassword({ client: hers, body: { current_password: 'wrong', new_password: password } }),
  'not-found': () => getPost({ client: anonymous, path: { post_id: anna.user.id } }),
  'quota-exceeded': () => posting({ content: 'x'.repeat(60_000) }),
  'email-taken': () => registering({ email: anna.user.email }),
  'username-taken': () => registering({ username: anna.user.username }),
  'last-admin': () =>
    updateUser({
      client: admins,
      path: { user_id: admin.user.id },
      body: { role: 'user' },
      headers: ANY,
    }),
  'idempotency-key-in-use': () => inUse,
  'precondition-failed': () => editing(hers, { 'If-Match': '"stale"' }),
  'body-too-large': () => posting({ content: 'x'.repeat(2 ** 20) }),
  'unsupported-media-type': () =>
    posting({}, changing((headers) => headers.set('Content-Type', 'text/plain'))),
  'idempotency-key-reused': async () => {
    await keyed('One');
    return keyed('Another');
  },
  'precondition-required': () => editing(changing((headers) => headers.delete('If-Match'))),
  'rate-limited': searching,
  'headers-too-large': () =>
    getPost({ client: anonymous, path, headers: { 'If-None-Match': 'x'.repeat(40_000) } }),
  unavailable: () => unavailable,
};

for (const [code, call] of Object.entries(calls)) {
  const { error, response } = await call();
  assert.equal(error?.code, code);
  assert.equal(error?.status, response?.status);
  console.log(code);
}
