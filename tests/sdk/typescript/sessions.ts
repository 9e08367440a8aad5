// Sessions of the TypeScript client: tokens are renewed once and in time, whatever happens.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import {
  ApiError,
  type AuthChange,
  AuthenticationRequired,
  AuthenticationTooOld,
  Byline,
  type ClientOptions,
  localStorageStore,
  memoryStore,
  NotFound,
  SecondFactorRequired,
  SessionRevoked,
  type SessionTokens,
  TokenReused,
} from 'byline-client';
import { type Asked, caught, check, drop, json, refuse, run, serving, until } from './checks.ts';

const SECRETS = /secret|eyJ|opensesame/;
const token = (kind: string, n: number, sub = 'anna') =>
  `eyJ${kind}${n}.${Buffer.from(JSON.stringify({ sub })).toString('base64url')}.secret`;

/**
 * A service with one account. What is in `instead` for a path answers in its place, once each; an
 * access token that is in `refused` is refused with that code.
 */
async function service() {
  const state = {
    generation: 0,
    instead: new Map<string, ((answer: ServerResponse) => unknown)[]>(),
    refused: new Map<string, string>(),
  };
  const pair = (more = {}) => {
    const n = ++state.generation;
    const [access_token, refresh_token] = [token('a', n), token('r', n)];
    return { access_token, refresh_token, token_type: 'Bearer', expires_in: 900, ...more };
  };
  const { url, asked } = await serving((answer, { path, headers: { authorization } }) => {
    const instead = state.instead.get(path)?.shift();
    if (instead) return instead(answer);
    const [access, refresh] = ['a', 'r'].map((kind) => `Bearer ${token(kind, state.generation)}`);
    if (path === '/auth/login') return json(answer, 200, pair({ user: { id: '1' } }));
    if (path === '/auth/refresh' && authorization === refresh) return json(answer, 200, pair());
    if (path === '/auth/refresh') return refuse(answer, 401, 'token-reused');
    if (path === '/auth/reauthenticate') return json(answer, 200, pair());
    if (!authorization) return refuse(answer, 401, 'authentication-required');
    const code = state.refused.get(authorization.slice(7));
    if (code) return refuse(answer, 401, code);
    if (path === '/auth/logout') return answer.writeHead(204).end();
    if (authorization !== access) return refuse(answer, 401, 'token-expired');
    if (path === '/auth/me') return json(answer, 200, { id: '1' });
    return answer.writeHead(204).end();
  });
  const of = (path: string): Asked[] => asked.filter((each) => each.path === path);
  return { url, asked, of, ...state, expire: () => void pair(), state };
}

/** A client that has signed in, and what it has told. */
async function signedIn(options: ClientOptions = {}) {
  const changes: AuthChange[] = [];
  const [fake, store] = [await service(), memoryStore()];
  const all = { store, onAuthChange: (change: AuthChange) => void changes.push(change), ...options };
  const byline = new Byline(fake.url, all);
  await byline.signIn('anna@example.com', 'opensesame');
  await until(() => changes.length === 1);
  /** Set when the access token expires, in seconds from now; the service may think otherwise. */
  const expire = async (seconds: number) => {
    const tokens = (await store.get()) as SessionTokens;
    await store.set({ ...tokens, expires_at: Date.now() + seconds * 1000 });
  };
  return { ...fake, fake, byline, store, changes, expire };
}

check('fifty calls with a token that is known to have expired refresh once', async () => {
  const { byline, of, expire, changes } = await signedIn();
  await expire(-1);
  await Promise.all(Array.from({ length: 50 }, () => byline.auth.getMe()));
  assert.deepEqual([of('/auth/refresh').length, of('/auth/me').length], [1, 50]);
  assert.deepEqual(changes, ['signed-in', 'refreshed']);
});

check('fifty calls with a token that only the service knows to have expired refresh once', async () => {
  const { byline, of, refused } = await signedIn();
  refused.set(token('a', 1), 'token-expired');
  await Promise.all(Array.from({ length: 50 }, () => byline.auth.getMe()));
  assert.deepEqual([of('/auth/refresh').length, of('/auth/me').length], [1, 100]);
});

check('clients with one store refresh once, and take what the other has got', async () => {
  const { byline, of, expire, store, url } = await signedIn();
  const other = new Byline(url, { store });
  await expire(-1);
  await Promise.all(
    Array.from({ length: 50 }, (_, n) => (n % 2 ? byline : other).auth.getMe()),
  );
  assert.equal(of('/auth/refresh').length, 1);
});

check('a token is renewed some seconds before it expires', async () => {
  const { byline, of, expire } = await signedIn();
  await expire(11);
  await byline.auth.getMe();
  assert.equal(of('/auth/refresh').length, 0);
  await expire(9);
  await byline.auth.getMe();
  assert.deepEqual([of('/auth/refresh').length, of('/auth/me').length], [1, 2]);
});

check('a busy service ends no session, and a token is used to its end', async () => {
  const { byline, expire, instead, changes } = await signedIn({ retries: 0 });
  const answers = [
    drop,
    (answer: ServerResponse) => refuse(answer, 503, 'unavailable'),
    (answer: ServerResponse) => refuse(answer, 429, 'rate-limited'),
    (answer: ServerResponse) => answer.end('<html>Sign in to this network</html>'),
  ];
  for (const busy of answers) {
    instead.set('/auth/refresh', [busy, busy]);
    await expire(5);
    await byline.auth.getMe();
    await expire(-1);
    assert(!(await caught(byline.auth.getMe()) instanceof AuthenticationRequired));
  }
  await byline.auth.getMe();
  assert.deepEqual(changes, ['signed-in', 'refreshed']);
});

check('a refresh whose answer was lost is asked for again with the same token', async () => {
  const { byline, of, expire, instead } = await signedIn();
  instead.set('/auth/refresh', [drop]);
  await expire(-1);
  await byline.auth.getMe();
  const bearers = of('/auth/refresh').map(({ headers }) => headers.authorization);
  assert.deepEqual(bearers, [bearers[0], bearers[0]]);
});

check('a refresh that is refused ends the session', async () => {
  const { byline, expire, fake, store, changes } = await signedIn();
  fake.expire();
  await expire(-1);
  const errors = await Promise.all([1, 2, 3].map(() => caught(byline.auth.getMe())));
  for (const error of errors) assert(error instanceof TokenReused);
  assert.equal(await store.get(), undefined);
  await until(() => changes.length === 2);
  assert.deepEqual(changes, ['signed-in', 'signed-out']);
  assert(await caught(byline.auth.getMe()) instanceof AuthenticationRequired);
});

check('a session that was ended elsewhere is over, unless somebody has signed in again', async () => {
  const revoked = (answer: ServerResponse) => refuse(answer, 401, 'session-revoked');
  const { byline, store, instead, changes } = await signedIn();
  const old = await store.get();
  instead.set('/auth/me', [
    async (answer) => {
      await byline.signIn('anna@example.com', 'opensesame'); // in another tab, for example
      revoked(answer);
    },
  ]);
  await byline.auth.getMe();
  assert.notEqual((await store.get())?.access_token, old?.access_token);
  instead.set('/auth/me', [revoked]);
  assert(await caught(byline.auth.getMe()) instanceof SessionRevoked);
  assert.equal(await store.get(), undefined);
  await until(() => changes.at(-1) === 'signed-out');
});

check('a sign-in during a refresh is what counts', async () => {
  const { byline, expire, instead, store, fake } = await signedIn();
  await expire(-1);
  instead.set('/auth/refresh', [
    async (answer) => {
      await byline.signIn('anna@example.com', 'opensesame');
      json(answer, 200, { access_token: 'late', refresh_token: 'late', expires_in: 900 });
    },
  ]);
  await byline.auth.getMe();
  assert.equal((await store.get())?.access_token, token('a', fake.state.generation));
});

check('what is told of a change may call the client', async () => {
  const ids: string[] = [];
  const onAuthChange = async () => void ids.push((await byline.auth.getMe()).id);
  const { url } = await service();
  const byline = new Byline(url, { onAuthChange });
  await byline.signIn('anna@example.com', 'opensesame');
  await until(() => ids.length === 1);
});

check('a caller that gives up does not end the refresh of the others', async () => {
  const { byline, expire, instead, of } = await signedIn();
  await expire(-1);
  const control = new AbortController();
  instead.set('/auth/refresh', [
    async (answer) => {
      control.abort('enough');
      await gone;
      drop(answer);
    },
  ]);
  const gone = caught(byline.auth.getMe({ signal: control.signal }));
  const other = byline.auth.getMe();
  assert.equal(await gone, 'enough');
  assert.equal((await other).id, '1');
  assert.equal(of('/auth/refresh').length, 2);
});

check('signing out needs no access token, and ends the session unless nobody was told', async () => {
  const { byline, expire, store, instead, of, changes } = await signedIn({ retries: 0 });
  await expire(-1);
  instead.set('/auth/logout', [drop]);
  assert((await caught(byline.signOut())) instanceof TypeError);
  assert(await store.get());
  await byline.signOut();
  await byline.signOut();
  assert.equal(await store.get(), undefined);
  assert.deepEqual(changes, ['signed-in', 'signed-out']);
  assert.deepEqual([of('/auth/logout').length, of('/auth/refresh').length], [2, 0]);
  await byline.signIn('anna@example.com', 'opensesame');
  instead.set('/auth/logout', [(answer) => refuse(answer, 401, 'session-revoked')]);
  await byline.signOut();
  assert.equal(await store.get(), undefined);
});

check('a second factor is asked for, and its error raised if there is none', async () => {
  const asked = (answer: ServerResponse) =>
    refuse(answer, 401, 'second-factor-required', { challenge: 'secret', methods: ['totp'] });
  for (const proof of ['123456', { code: '123456' }, undefined]) {
    const fake = await service();
    const { state, url, of } = fake;
    state.instead.set('/auth/login', [asked]);
    state.instead.set('/auth/login/second-factor', [
      (answer) => json(answer, 200, { access_token: token('a', 0), expires_in: 900, user: {} }),
    ]);
    const byline = new Byline(url, { secondFactor: ({ problem }) => problem.methods && proof });
    const outcome = byline.signIn('anna@example.com', 'opensesame');
    if (!proof) {
      assert((await caught(outcome)) instanceof SecondFactorRequired);
      continue;
    }
    await outcome;
    const [{ body }] = of('/auth/login/second-factor') as [Asked];
    assert.deepEqual(JSON.parse(body), { challenge: 'secret', code: '123456' });
    assert.equal((await byline.auth.getMe()).id, '1');
  }
});

check('who it is is proved again when that is too long ago, once for all calls', async () => {
  let questions = 0;
  const reauthenticate = async () => (++questions === 1 ? 'opensesame' : undefined);
  const { byline, of, refused } = await signedIn({ reauthenticate });
  refused.set(token('a', 1), 'authentication-too-old');
  await Promise.all([1, 2, 3, 4, 5].map(() => byline.auth.revokeOtherSessions()));
  assert.deepEqual([questions, of('/auth/reauthenticate').length], [1, 1]);
  assert.equal(of('/auth/reauthenticate')[0]?.body, '{"password":"opensesame"}');
  refused.set(token('a', 2), 'authentication-too-old');
  assert((await caught(byline.auth.revokeOtherSessions())) instanceof AuthenticationTooOld);
});

check('an account with a second factor proves who it is with that', async () => {
  const { byline, of, instead } = await signedIn({
    reauthenticate: () => 'opensesame',
    secondFactor: () => '123456',
  });
  instead.set('/auth/sessions', [(answer) => refuse(answer, 401, 'authentication-too-old')]);
  instead.set('/auth/reauthenticate', [(answer) => refuse(answer, 403, 'second-factor-required')]);
  await byline.auth.revokeOtherSessions();
  const bodies = of('/auth/reauthenticate').map(({ body }) => body);
  assert.deepEqual(bodies, ['{"password":"opensesame"}', '{"code":"123456"}']);
});

check('a given token is sent as it is, and never renewed', async () => {
  const { url, asked } = await serving((answer) => refuse(answer, 401, 'token-expired'));
  const byline = new Byline(url, { token: ' byl_secret\n' });
  assert((await caught(byline.auth.getMe())) instanceof ApiError);
  await caught(byline.posts.get('1')); // public, so that it needs none
  assert.deepEqual(asked.map(({ headers }) => headers.authorization), ['Bearer byl_secret', undefined]);
  assert.throws(() => new Byline(url, { token: 'sec ret' }), (error) => !SECRETS.test(String(error)));
});

check('nothing that is printed has a secret', async () => {
  const exchanges: unknown[] = [];
  const { byline, url } = await signedIn({ onExchange: (each) => void exchanges.push(each) });
  const answer = await byline.signIn('anna@example.com', 'opensesame');
  assert.match(answer.access_token, SECRETS);
  assert.match((await byline.auth.refresh()).refresh_token ?? '', SECRETS);
  const { data } = await byline.request('auth.login', { email: 'a', password: 'opensesame' });
  const wrong = await caught(byline.posts.search({ q: 'secret' }));
  const printed = [byline, answer, data, exchanges, wrong, { ...answer }];
  for (const thing of printed) {
    assert.doesNotMatch(inspect(thing, { depth: 9 }), SECRETS);
    assert.doesNotMatch(JSON.stringify(thing), SECRETS);
  }
  const [first] = exchanges as [Record<string, unknown>];
  assert.deepEqual(
    { ...first, milliseconds: undefined },
    {
      ...{ operation: 'auth.login', method: 'POST', url: `${url}/auth/login`, attempt: 1 },
      ...{ milliseconds: undefined, status: 200, requestId: undefined, error: undefined },
    },
  );
});

check('with a cookie, no script has the refresh token, and few calls have the cookie', async () => {
  const { url, of, state } = await service();
  const sent: [string, unknown][] = [];
  const fetch: NonNullable<ClientOptions['fetch']> = (to, init) => {
    sent.push([new URL(to).pathname, init.credentials]);
    // What a browser does: its cookie has the refresh token.
    const { Authorization } = init.headers;
    const headers = { Authorization: `Bearer ${token('r', state.generation)}`, ...init.headers };
    return globalThis.fetch(to, { ...init, headers: Authorization || init.credentials ? headers : {} });
  };
  const byline = new Byline(url, { transport: 'cookie', fetch });
  await byline.signIn('anna@example.com', 'opensesame');
  assert.equal(JSON.parse(of('/auth/login')[0]?.body ?? '').transport, 'cookie');
  await byline.auth.getMe();
  const reloaded = new Byline(url, { transport: 'cookie', fetch });
  assert.equal((await reloaded.auth.getMe()).id, '1');
  await reloaded.signOut();
  assert.deepEqual(sent, [
    ...[['/auth/login', 'include'], ['/auth/me', undefined], ['/auth/refresh', 'include']],
    ...[['/auth/me', undefined], ['/auth/logout', 'include']],
  ]);
  state.instead.set('/auth/refresh', [(answer) => refuse(answer, 401, 'authentication-required')]);
  const stranger = new Byline(url, { transport: 'cookie', fetch });
  for (const _ of [1, 2]) assert((await caught(stranger.auth.getMe())) instanceof AuthenticationRequired);
  assert.equal(of('/auth/refresh').length, 2); // it is not asked again and again
});

check('the tabs of a browser share a session in localStorage, and its end', async () => {
  const kept = new Map<string, string>();
  const page = new EventTarget();
  Object.assign(globalThis, {
    localStorage: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key),
    },
    addEventListener: page.addEventListener.bind(page),
  });
  const { url } = await service();
  const changes: AuthChange[] = [];
  const one = new Byline(url, { store: localStorageStore() });
  const other = new Byline(url, {
    store: localStorageStore(),
    onAuthChange: (change) => void changes.push(change),
  });
  const tell = () => page.dispatchEvent(Object.assign(new Event('storage'), { key: 'session' }));
  await one.signIn('anna@example.com', 'opensesame');
  tell();
  await until(() => changes.length === 1);
  assert.equal((await other.auth.getMe()).id, '1');
  await one.signOut();
  tell();
  await until(() => changes.length === 2);
  assert.deepEqual(changes, ['signed-in', 'signed-out']);
  kept.set('session', '{');
  assert((await caught(other.auth.getMe())) instanceof AuthenticationRequired);
  assert(!(NotFound.prototype instanceof AuthenticationRequired));
});

Math.random = () => 0; // no waits but those that are asked for
await run();
