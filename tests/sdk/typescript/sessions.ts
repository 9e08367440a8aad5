// Sessions of the TypeScript client: tokens are renewed once and in time, whatever happens.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import {
  type AuthChange,
  AuthenticationRequired,
  Byline,
  localStorageStore,
  SessionRevoked,
  type SessionTokens,
  TokenReused,
} from 'byline-client';
import { service, signedIn, token } from './account.ts';
import { caught, check, drop, json, refuse, run, until } from './checks.ts';

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
  await expire(60);
  await byline.auth.getMe();
  assert.equal(of('/auth/refresh').length, 0);
  await expire(9);
  await byline.auth.getMe();
  assert.deepEqual([of('/auth/refresh').length, of('/auth/me').length], [1, 2]);
});

check('a busy service ends no session, and a token is used to its end', async () => {
  const { byline, expire, instead, changes, of, store, url } = await signedIn();
  const answers = [
    drop,
    (answer: ServerResponse) => refuse(answer, 503, 'unavailable'),
    (answer: ServerResponse) => refuse(answer, 429, 'rate-limited'),
    (answer: ServerResponse) => answer.end('<html>Sign in to this network</html>'),
  ];
  for (const busy of answers) {
    const { length } = of('/auth/refresh');
    instead.set('/auth/refresh', [busy, busy, busy, busy, busy]);
    const early = new Byline(url, { store });
    await expire(9);
    await early.auth.getMe();
    await early.auth.getMe();
    assert.equal(of('/auth/refresh').length, length + 1); // once, and not again in five seconds
    await expire(-1);
    assert(!(await caught(byline.auth.getMe()) instanceof AuthenticationRequired));
    instead.delete('/auth/refresh');
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

check('what one user has asked for is not done as another', async () => {
  const codes = ['session-revoked', 'token-expired', 'invalid-token', 'authentication-too-old'];
  for (const code of [...codes, 'expired before', 'opaque']) {
    const { byline, store, of, instead, expire, refused } = await signedIn();
    const answered = code === 'opaque' ? 'session-revoked' : code;
    const bobs = code === 'opaque' ? 'bob' : token('a', 7, 'bob');
    const own = (await store.get()) as SessionTokens;
    const bob = { ...own, access_token: bobs };
    refused.set(own.access_token, 'token-expired');
    if (code === 'opaque') await store.set({ ...own, access_token: 'anna' });
    const others = async (answer: ServerResponse) => {
      await store.set(bob); // signed in in another tab
      refuse(answer, 401, answered);
    };
    if (code === 'expired before') await expire(-1);
    instead.set(code === 'expired before' ? '/auth/refresh' : '/api/posts/1', [others]);
    const error = await caught(byline.posts.delete('1'));
    assert.equal(error.code, code === 'expired before' ? 'token-expired' : answered);
    assert.equal(of('/api/posts/1').length, 1, code);
    assert.equal((await store.get())?.access_token, bobs);
    await byline.posts.delete('2').catch(() => {}); // this, Bob has asked for
    assert.equal(of('/api/posts/2')[0]?.headers.authorization, `Bearer ${bobs}`);
  }
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
  const tell = () => page.dispatchEvent(Object.assign(new Event('storage'), { key: 'byline-session' }));
  await one.signIn('anna@example.com', 'opensesame');
  tell();
  await until(() => changes.length === 1);
  assert.equal((await other.auth.getMe()).id, '1');
  await one.signOut();
  tell();
  await until(() => changes.length === 2);
  assert.deepEqual(changes, ['signed-in', 'signed-out']);
  kept.set('byline-session', '{');
  assert((await caught(other.auth.getMe())) instanceof AuthenticationRequired);
});

Math.random = () => 0; // no waits but those that are asked for
await run();
