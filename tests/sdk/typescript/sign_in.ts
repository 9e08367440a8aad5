// How callers of the TypeScript client prove who they are, and who learns of it.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import {
  ApiError,
  AuthenticationRequired,
  AuthenticationTooOld,
  Byline,
  type ClientOptions,
  SecondFactorRequired,
  type SessionTokens,
} from 'byline-client';
import { service, signedIn, token } from './account.ts';
import { type Asked, caught, check, json, refuse, run, serving } from './checks.ts';

const SECRETS = /secret|eyJ|opensesame/;

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

check('a token of a session that no header can have is not sent and not printed', async () => {
  for (const odd of ['secret\nsecret', 'secreté', 'secret secret']) {
    const { byline, asked, store } = await signedIn();
    const tokens = (await store.get()) as SessionTokens;
    const { length } = asked;
    await store.set({ ...tokens, access_token: odd });
    const unsent = await caught(byline.auth.getMe());
    await store.set({ ...tokens, refresh_token: odd, expires_at: 0 });
    for (const error of [unsent, await caught(byline.auth.getMe())]) {
      assert(error instanceof TypeError);
      assert.doesNotMatch(inspect(error), SECRETS);
    }
    assert.equal(asked.length, length);
  }
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

Math.random = () => 0; // no waits but those that are asked for
await run();
