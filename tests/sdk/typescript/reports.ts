// What users report of other services' clients does not happen to those of the TypeScript client.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { Byline, type Exchange, localStorageStore, UnexpectedAnswer } from 'byline-client';
import { service, signedIn, token } from './account.ts';
import { caught, check, json, run, serving, until } from './checks.ts';

const expected = ['hook'];
const escaped: unknown[] = [];
process.on('uncaughtException', ({ message }) => void escaped.push(message));
process.on('unhandledRejection', (reason) => void escaped.push(reason));

check('an object of a gateway does not take the place of the session', async () => {
  const { byline, expire, instead, store } = await signedIn();
  for (const body of [{}, { ok: true }, { access_token: 5, expires_in: 900 }]) {
    instead.set('/auth/refresh', [(answer) => json(answer, 200, body)]);
    await expire(-1);
    const kept = await store.get();
    assert((await caught(byline.auth.getMe())) instanceof UnexpectedAnswer);
    assert.deepEqual(await store.get(), kept);
  }
  assert.equal((await byline.auth.getMe()).id, '1');
});

check('the tokens of one service are sent to no other, and outlive signing out there', async () => {
  const { store, byline } = await signedIn();
  const { url, asked } = await serving((answer) => json(answer, 200, { id: '2' }));
  const other = new Byline(url, { store });
  await other.auth.getMe();
  await other.signOut();
  assert.deepEqual(asked.map(({ headers }) => headers.authorization), [undefined]);
  assert.equal((await byline.auth.getMe()).id, '1');
});

check('a hook that throws repeats no request and changes no answer', async () => {
  let isArmed = false;
  const onExchange = (_: Exchange) => {
    if (isArmed) throw new Error('hook');
  };
  const { byline, of } = await signedIn({ onExchange });
  isArmed = true;
  assert.equal((await byline.auth.getMe()).id, '1');
  await until(() => escaped.includes('hook'));
  assert.equal(of('/auth/me').length, 1);
});

check('a store that fails is told to the calls that need it, and to nobody else', async () => {
  const store = { get: () => Promise.reject(new Error('no disk')), set() {} };
  const byline = new Byline('http://service.test', { store, onAuthChange() {} });
  assert.equal((await caught(byline.auth.getMe())).message, 'no disk');
});

check('a browser without storage, or none left, keeps the session in the page', async () => {
  const { url } = await service();
  let kept: string | null = null;
  let refused: string | undefined;
  const full = () => {
    if (refused) throw new DOMException('no', refused);
  };
  const localStorage = {
    getItem: () => (refused === 'SecurityError' ? full() : kept) ?? null,
    setItem: (_: string, value: string) => void (full(), (kept = value)),
    removeItem: () => void (full(), (kept = null)),
  };
  const define = (value: unknown) =>
    Object.defineProperty(globalThis, 'localStorage', { value, configurable: true });
  define(localStorage);
  for (refused of ['SecurityError', 'QuotaExceededError']) {
    const byline = new Byline(url, { store: localStorageStore() });
    await byline.signIn('anna@example.com', 'opensesame');
    assert.equal((await byline.auth.getMe()).id, '1');
    await byline.signOut();
    assert(await caught(byline.auth.getMe()));
  }
  Reflect.deleteProperty(globalThis, 'localStorage');
  // A server that takes itself for a browser would keep one session for all its users.
  const onServer = new Byline(url, { store: localStorageStore() });
  assert((await caught(onServer.signIn('anna@example.com', 'opensesame'))) instanceof ReferenceError);
});

check('clients with cookies share nothing in a process that has no tabs', async () => {
  const { url, of } = await service();
  const [one, other] = [1, 2].map(() => new Byline(url, { transport: 'cookie' })) as [Byline, Byline];
  await one.signIn('anna@example.com', 'opensesame');
  assert.equal((await one.auth.getMe()).id, '1');
  await caught(other.auth.getMe());
  assert.deepEqual(of('/auth/me').length, 1);
});

check('many clients of a page have one channel, and listen to storage only to tell of it', async () => {
  const opened: string[] = [];
  const listened: string[] = [];
  class Channel {
    constructor(name: string) {
      opened.push(name);
    }
    addEventListener() {}
    postMessage() {}
  }
  const { BroadcastChannel } = globalThis;
  const addEventListener = (type: string) => void listened.push(type);
  const page = { location: {}, BroadcastChannel: Channel, addEventListener };
  Object.assign(globalThis, page);
  for (let n = 0; n < 100; n++) {
    new Byline('http://page.test', { transport: 'cookie' });
    new Byline('http://page.test', { store: localStorageStore() });
  }
  const told: string[] = [];
  const onAuthChange = (change: string) => void told.push(change);
  const fetch = async () => Response.json({ access_token: token('a', 1), expires_in: 900, user: {} });
  const options = { transport: 'cookie', onAuthChange, fetch } as const;
  const [one] = [1, 2].map(() => new Byline('http://page.test', options)) as [Byline];
  Object.assign(globalThis, { BroadcastChannel });
  for (const name of ['location', 'addEventListener']) Reflect.deleteProperty(globalThis, name);
  assert.deepEqual([opened, listened], [['byline http://page.test'], []]);
  await one.signIn('anna@example.com', 'opensesame'); // both are told, each once
  await until(() => told.length === 2);
  assert.deepEqual(told, ['signed-in', 'signed-in']);
});

check('a page that comes after itself is not asked for for ever', async () => {
  const headers = { Link: '</api/posts?after=x>; rel="next"' };
  const { url, asked } = await serving((answer) => json(answer, 200, [], headers));
  assert((await caught(new Byline(url).posts.list().toArray())) instanceof UnexpectedAnswer);
  assert.equal(asked.length, 2);
});

check('a 304 is an answer to who has asked for one', async () => {
  const { url } = await serving((answer: ServerResponse) => answer.writeHead(304).end());
  const byline = new Byline(url);
  assert((await caught(byline.posts.get('1'))) instanceof UnexpectedAnswer);
  const headers = { 'if-none-match': '"1"' };
  assert.equal((await byline.request('posts.get', '1', { headers })).data, undefined);
});

check('what is no address is refused at once, and a password in it not shown', async () => {
  const addresses = ['http://anna:opensesame@service.test', 'http://service.test?x=1'];
  addresses.push('https:\\\\anna:opensesame@service.test', 'https:anna:opensesame@service.test');
  addresses.push('http://anna:opensesame@service.test:99999', 'http:opensesame@service.test');
  addresses.push('http://service.test/#x', 'ftp://service.test', 'localhost:8000', '');
  for (const address of addresses) {
    const refused = (error: unknown) =>
      error instanceof TypeError && !inspect(error).includes('opensesame');
    assert.throws(() => new Byline(address), refused, address);
  }
});

check('a long line and a long Link take no longer than they are long', async () => {
  const piece = new TextEncoder().encode('a'.repeat(1024));
  const quote = new TextEncoder().encode('"');
  let pieces = 0;
  const line = new ReadableStream({
    pull(to) {
      to.enqueue(pieces++ % 16_000 ? piece : quote);
      if (pieces > 16_000) to.close();
    },
  });
  const answers = [
    new Response(line, { headers: { 'Content-Type': 'application/x-ndjson' } }),
    Response.json(Array(200_000).fill(0), { headers: { Link: '<'.repeat(150_000) } }),
  ];
  const fetch = async () => answers.shift() as Response;
  const byline = new Byline('http://service.test', { fetch });
  const before = process.cpuUsage();
  for await (const text of byline.auth.export()) assert.equal(String(text).length, 15_999 * 1024);
  const between = process.cpuUsage(before).user;
  assert.equal((await byline.posts.list().toArray()).length, 200_000);
  const seconds = [between, process.cpuUsage(before).user - between].map((n) => n / 1e6);
  assert(Math.max(...seconds) < 4, `${seconds}`);
});

check('a signal for many calls collects no listeners', async () => {
  const { byline } = await signedIn();
  const { signal } = new AbortController();
  for (let n = 0; n < 20; n++) await byline.auth.getMe({ signal });
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

check('fetch is given nothing that edge runtimes do not implement', async () => {
  const given = new Set<string>();
  const fetch = (url: string, init: object) => {
    for (const name of Object.keys(init)) given.add(name);
    return globalThis.fetch(url, init);
  };
  const { byline } = await signedIn({ fetch });
  await byline.auth.getMe();
  const known = ['body', 'headers', 'method', 'redirect', 'signal'];
  assert.deepEqual([...given].sort(), known);
});

check('nothing escapes but what a hook has thrown', async () => {
  assert.deepEqual(escaped, expected);
}, true);

await run();
