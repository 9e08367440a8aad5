// Lists, streams and changes of the TypeScript client, and what it is made with.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import {
  Byline,
  type ClientOptions,
  Forbidden,
  type Post,
  PreconditionFailed,
  UnexpectedAnswer,
} from 'byline-client';
import { caught, check, drop, json, post, refuse, run, serving, until } from './checks.ts';

/** A service with one post of many versions, which `rivals` change before it is written. */
async function writing(rivals: string[] = []) {
  let [version, title] = [1, 'One'];
  const etag = () => `"${version}"`;
  const { url, asked } = await serving((answer, { method, path, headers, body }) => {
    const now = { ...post, title };
    if (path === '/api/posts' && method === 'GET') return json(answer, 200, [now]);
    if (path === '/auth/me') return json(answer, 200, { id: '1', email: 'a' }, { ETag: '"me"' });
    if (method === 'DELETE') {
      const isStale = (headers['if-match'] ?? etag()) !== etag();
      return isStale ? refuse(answer, 412, 'precondition-failed') : answer.writeHead(204).end();
    }
    if (method === 'PATCH') {
      const rival = rivals.shift();
      if (rival) [version, title] = [version + 1, rival];
      const isStale = ![etag(), '*'].includes(headers['if-match'] ?? '');
      if (isStale) return refuse(answer, 412, 'precondition-failed');
      [version, title] = [version + 1, JSON.parse(body).title];
    }
    if (method === 'POST')
      return json(answer, 201, now, { Location: '/api/posts/1', ETag: etag() });
    return json(answer, 200, { ...post, title }, { ETag: etag() });
  });
  const of = (method: string) => asked.filter((each) => each.method === method);
  return { url, byline: new Byline(url), of, rival: (now: string) => rivals.push(now) };
}

// A deep proxy, as those of Vue and MobX.
const reactive = <Of extends object>(target: Of): Of =>
  new Proxy(target, {
    get(of, key) {
      const value = Reflect.get(of, key) as unknown;
      return typeof value === 'object' && value !== null ? reactive(value) : value;
    },
  });

check('a change is of the version that was read, also of a copy of it', async () => {
  const edited = (read: Post) => ({ ...read, title: 'Two' });
  const kinds: [string, (read: Post) => Post][] = [
    ['itself', (read) => read],
    ['a proxy', reactive],
    ['a clone', structuredClone],
    ['JSON', (read) => JSON.parse(JSON.stringify(read))],
    ['an edited copy', edited],
  ];
  for (const [kind, copied] of kinds) {
    const { byline, of, rival } = await writing();
    const copy = copied(await byline.posts.get('1'));
    assert.equal((await byline.posts.update(copy, { title: 'Two' })).title, 'Two', kind);
    const other = { ...copied(await byline.posts.get('1')), title: 'Two' };
    rival('Theirs');
    const error = await caught(byline.posts.update(other, { title: 'Three' }));
    assert(error instanceof PreconditionFailed, kind);
    assert.equal((error.current as Post).title, 'Theirs');
    assert(of('PATCH').every(({ headers }) => headers['if-match'] !== '*'));
  }
});

check('an item of a list is changed, if it still is what the list said', async () => {
  const { byline, of, url } = await writing();
  for await (const item of byline.posts.list()) {
    await byline.posts.update(item, { title: 'Two' });
    assert((await caught(byline.posts.update(item, { title: 'Three' }))) instanceof PreconditionFailed);
  }
  assert.deepEqual(of('PATCH').map(({ headers }) => headers['if-match']), ['"1"', '"stale"']);
  assert.equal((await byline.posts.get('1')).title, 'Two');
  await new Byline(url).posts.update('1', { title: 'Any' });
  assert.equal(of('PATCH').at(-1)?.headers['if-match'], '*');
});

check('what was created and what was changed is changed again', async () => {
  const { byline, of } = await writing();
  const created = await byline.posts.create({ title: 'One', content: 'Words.' });
  const changed = await byline.posts.update(created, { title: 'Two' });
  await byline.posts.update(changed, { title: 'Three' });
  assert.deepEqual(of('PATCH').map(({ headers }) => headers['if-match']), ['"1"', '"2"']);
  assert((await caught(byline.posts.delete(changed))) instanceof PreconditionFailed);
  await byline.posts.delete('1');
  // An ETag is of what is at an address: that of /auth/me says nothing of /api/users/1.
  await byline.users.delete(await byline.auth.getMe());
  const matched = of('DELETE').map(({ headers }) => headers['if-match']);
  assert.deepEqual(matched, ['"2"', undefined, undefined]);
});

check('a change by a function begins again when somebody else was faster', async () => {
  const { byline, of } = await writing(['Theirs', 'And theirs']);
  const changed = await byline.posts.change('1', ({ title }) => ({ title: `${title}, and mine` }));
  assert.equal(changed.title, 'And theirs, and mine');
  assert.equal(of('PATCH').length, 3);
  const { title } = await byline.posts.change(changed, () => undefined);
  assert.deepEqual([title, of('PATCH').length], ['And theirs, and mine', 3]);
  const always = await writing(Array.from({ length: 30 }, (_, n) => `${n}`));
  const error = await caught(always.byline.posts.change('1', () => ({ title: 'Mine' })));
  assert(error instanceof PreconditionFailed);
});

check('a list is followed below any prefix, and each loop begins anew', async () => {
  const next: Record<string, string> = {
    '/a/b/api/posts?limit=2&author_id=x': '</api/posts?limit=2&author_id=x&after=2>; rel="next"',
    '/a/b/api/posts?limit=2&author_id=x&after=2':
      '<x>; rel="prev", <https://elsewhere.example/a/b/api/posts?after=4>; title="a, b"; rel=next',
  };
  const { url, asked } = await serving((answer, { path }) => {
    const link = next[path];
    json(answer, 200, [{ id: path }, { id: '' }], link ? { Link: link } : {});
  });
  const list = new Byline(`${url}/a/b/`).posts.list({ limit: 2, author_id: 'x' });
  assert.equal(asked.length, 0);
  assert.equal((await list.toArray()).length, 6);
  for await (const _ of list) break;
  for await (const page of list.pages()) assert.equal(page.length, 2);
  const paths = [...Object.keys(next), '/a/b/api/posts?after=4'];
  assert.deepEqual(asked.map(({ path }) => path), [...paths, paths[0], ...paths]);
});

check('lines are lines wherever the pieces of the answer end', async () => {
  const lines = [{ type: 'post', title: 'Café 😀' }, { type: 'newer', n: 1 }, { type: 'post' }];
  const bytes = Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n'));
  const { url } = await serving(async (answer) => {
    answer.writeHead(200, { 'Content-Type': 'application/x-ndjson' }).flushHeaders();
    answer.socket?.setNoDelay(true);
    for (const byte of bytes) {
      answer.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    answer.end('\n');
  });
  const exported = new Byline(url).auth.export();
  const pieces: Uint8Array[] = [];
  for await (const piece of exported.bytes()) pieces.push(piece);
  assert.equal(Buffer.concat(pieces).toString(), `${bytes}\n`);
  const found: unknown[] = [];
  for await (const line of exported) found.push(line);
  assert.deepEqual(found, lines);
});

check('a stream that is cut, broken, slow or left is noticed', async () => {
  const ended: string[] = [];
  const arrived = new Set<string>(); // kinds whose first line has
  const { url, asked } = await serving(async (answer, { headers }) => {
    const kind = headers['x-kind'] as string;
    answer.on('close', () => ended.push(kind));
    if (kind === 'refused') return refuse(answer, 403, 'forbidden');
    if (kind === 'lost' && asked.length % 2) return drop(answer);
    answer.writeHead(200, { 'Content-Type': 'application/x-ndjson' }).write('{"n": 1}\n');
    if (kind === 'lost') return answer.end();
    if (kind === 'broken') return answer.end('{"n": 2\n');
    if (kind === 'cut') {
      await until(() => arrived.has('cut'));
      drop(answer);
    }
  });
  const reading = async (kind: string, options = {}) => {
    const found: unknown[] = [];
    const byline = new Byline(url, { timeout: kind === 'slow' ? 1000 : 60_000 });
    const work = (async () => {
      for await (const line of byline.auth.export({ headers: { 'X-Kind': kind }, ...options })) {
        found.push(line);
        arrived.add(kind);
      }
    })();
    return [(await work.then(() => null, (error) => error)) as Error, found.length] as const;
  };
  assert((await reading('refused'))[0] instanceof Forbidden);
  assert.deepEqual(await reading('lost'), [null, 1]);
  const [broken, before] = await reading('broken');
  assert(broken instanceof UnexpectedAnswer && before === 1);
  assert.equal(broken.text, '{"n": 2');
  const [cut, read] = await reading('cut');
  assert(cut instanceof TypeError && read === 1);
  const [slow] = await reading('slow');
  assert.equal(slow.name, 'TimeoutError');
  const control = new AbortController();
  void until(() => arrived.has('given up')).then(() => control.abort('enough'));
  assert.deepEqual(await reading('given up', { signal: control.signal }), ['enough', 1]);
  for await (const _ of new Byline(url).auth.export({ headers: { 'X-Kind': 'left' } })) break;
  await until(() => ['slow', 'given up', 'left'].every((kind) => ended.includes(kind)));
});

check('an id cannot change what is asked for', async () => {
  const { url, asked } = await serving((answer) => json(answer, 200, post));
  const byline = new Byline(url);
  for (const id of ['', '.', '..', undefined, null, {}])
    assert((await caught((async () => byline.posts.get(id as string))())) instanceof TypeError);
  await byline.posts.get('../users?a=b#c/%2e');
  assert.deepEqual(asked.map(({ path }) => path), ['/api/posts/..%2Fusers%3Fa%3Db%23c%2F%252e']);
  assert((await caught(byline.posts.get('1', { ifMatch: 'a\nb' }))) instanceof TypeError);
  assert.equal(asked.length, 1); // nor is a header that cannot be sent taken for a lost connection
});

check('a client works as a part of what frameworks wrap, and piece by piece', async () => {
  const { url, asked } = await serving((answer) => json(answer, 200, post));
  const app = reactive({ byline: new Byline(url, { token: 'abc' }) });
  await app.byline.posts.get('1');
  await app.byline.request('posts.get', '1');
  const { get } = app.byline.posts;
  assert.equal((await get({ id: '1' })).id, '1');
  assert.equal(asked.length, 3);
  assert.throws(() => (app.byline.request as (name: string) => unknown)('posts.nothing'), TypeError);
});

check('an address may be a URL, and relative where there is a page', async () => {
  const sent: string[] = [];
  const fetch: NonNullable<ClientOptions['fetch']> = async (to) => {
    sent.push(to);
    return new Response('{}', { headers: { 'Content-Type': 'application/json' } });
  };
  assert.throws(() => new Byline('/byline', { fetch }), TypeError);
  Object.assign(globalThis, { location: { href: 'https://page.example/' } });
  for (const base of ['/byline', '/byline/', '', '/', new URL('https://api.example/v1/')])
    await new Byline(base, { fetch }).ops.getLiveness();
  const paths = ['/byline/health/live', '/byline/health/live', '/health/live', '/health/live'];
  assert.deepEqual(sent, [...paths, 'https://api.example/v1/health/live']);
});

const told = (answer: ServerResponse, name: string) => answer.req.headers[name];
check('the service is told which program asks, and nothing of the caller', async () => {
  const { url } = await serving((answer) =>
    json(answer, 200, { status: [told(answer, 'user-agent'), told(answer, 'authorization')] }),
  );
  const { status } = await new Byline(url, { token: 'abc' }).ops.getLiveness();
  assert.match(String(status), /^byline-client\/\d+\.\d+\.\d+ node\/[\d.]+,$/);
});

Math.random = () => 0; // no waits but those that are asked for
await run();
