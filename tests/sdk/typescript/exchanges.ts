// Requests and answers of the TypeScript client: what it takes for an answer, repeats and gives up.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import * as client from 'byline-client';
import { ApiError, Byline, UnexpectedAnswer } from 'byline-client';
import { caught, check, drop, json, post, refuse, run, serving, until } from './checks.ts';

const taken = async (items: AsyncIterable<unknown>): Promise<unknown[]> => {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
};
const limit = (answer: ServerResponse, wait: string): void => {
  answer.setHeader('Retry-After', wait);
  refuse(answer, 429, 'rate-limited');
};
const HTML = '<html><body><h1>502 Bad Gateway</h1></body></html>';
// What nginx, Cloudflare, API gateways and captive portals send: status, type and body.
const FOREIGN: [number, string, string][] = [
  [502, 'text/html', HTML],
  [504, 'text/html', ''],
  [503, '', ''],
  [429, 'text/plain', 'slow down'],
  [520, 'text/html', 'error code: 520'],
  [403, 'application/json', '{"message": "Forbidden"}'],
  [401, 'application/json', 'null'],
  [401, 'text/html', '<html>token-expired</html>'],
  [400, 'application/problem+json', '{"type": "about:blank", "status": 400}'],
  [400, 'application/problem+json', '{"code": "invalid-request", "status": 401}'],
  [400, 'application/problem+json', '{"code": "invalid-request", "status": 400, "errors": "all"}'],
  [400, 'application/problem+json', '{"code": "invalid-request", "status": 400, "errors": [null]}'],
  [301, 'text/html', HTML],
  [200, 'text/html', '<html>Sign in to this network</html>'],
  [200, 'application/json', '"maintenance"'],
  [200, 'application/json', ''],
  [200, 'application/json', '{"id": "1", "tit'],
  [200, '', ''],
  [599, 'application/json', '[[[['],
];

// What may be the answer of an operation that has nothing to say.
const saysNothing = new Set(['', '"maintenance"']);

check('an answer that is not of the service is one error, whatever was asked', async () => {
  for (const [status, type, body] of FOREIGN) {
    const headers = { 'X-Gateway': 'edge-7', ...(type && { 'Content-Type': type }) };
    const { url } = await serving((answer) => answer.writeHead(status, headers).end(body));
    const byline = new Byline(url, { retries: 0 });
    const calls = [
      byline.posts.get('1'),
      byline.posts.list().toArray(),
      byline.posts.create({ title: 'A', content: 'B' }),
      taken(byline.auth.export()),
      byline.request('ops.getMetrics'),
      ...(saysNothing.has(body) && status === 200 ? [] : [byline.posts.delete('1')]),
    ];
    for (const error of await Promise.all(calls.map(caught))) {
      assert(error instanceof UnexpectedAnswer, `${status} ${body}: ${error}`);
      assert.equal(error.name, 'UnexpectedAnswer');
      assert.deepEqual([error.status, error.text], [status, body]);
      assert.equal(error.headers.get('x-gateway'), 'edge-7');
      assert(error.message.includes(String(status)));
      assert(!inspect(error).includes(body || 'x-gateway'));
    }
  }
});

check('a member, an enumerated value and a code of a newer service pass', async () => {
  const newer = { ...post, mood: 'calm' };
  const { url } = await serving((answer, { path }) =>
    path === '/api/posts/1' ? json(answer, 200, newer) : refuse(answer, 418, 'out-of-tea', { pot: 1 }),
  );
  const byline = new Byline(url);
  assert.deepEqual(await byline.posts.get('1'), newer);
  const error = await caught(byline.posts.get('2'));
  assert.equal(error.constructor, ApiError);
  assert.deepEqual([error.name, error.code, error.status], ['ApiError', 'out-of-tea', 418]);
  assert.equal(error.problem.pot, 1);
  const odd = await serving((answer) => refuse(answer, 400, 'constructor'));
  assert.equal((await caught(new Byline(odd.url).posts.get('2'))).constructor, ApiError);
});

check('what is safe to repeat is tried four times', async () => {
  for (const status of [429, 502, 503, 504]) {
    const { url, asked } = await serving((answer) => answer.writeHead(status).end());
    const byline = new Byline(url);
    assert.equal((await caught(byline.posts.get('1'))).status, status);
    assert.equal((await caught(byline.posts.create({ title: 'A', content: 'B' }))).status, status);
    assert.equal((await caught(byline.posts.delete('1'))).status, status);
    assert.equal(asked.length, 12);
    const keys = new Set(asked.map(({ headers }) => headers['idempotency-key']));
    assert.equal(keys.size, 2); // one for all tries of the POST, and none for the others
  }
});

check('what is not safe to repeat is tried once', async () => {
  const { url, asked } = await serving((answer, _, count) =>
    count % 2 ? drop(answer) : refuse(answer, 503, 'unavailable'),
  );
  const byline = new Byline(url);
  const register = () => byline.auth.register({ email: 'a', password: 'b' });
  const update = () => byline.posts.update('1', { title: 'B' });
  const passwords = { current_password: 'a', new_password: 'b' };
  const change = () => byline.auth.changePassword(passwords); // ends the session that it is sent with
  for (const call of [change, change, register, register, update, update]) await caught(call());
  assert.equal(asked.length, 6);
  assert.equal(asked.at(-1)?.headers['if-match'], '*');
});

check('a lost connection is tried again, and no other error', async () => {
  const { url, asked } = await serving((answer, { path }, count) => {
    if (path === '/api/posts/1' && count < 3) drop(answer);
    else if (path === '/api/posts/1') json(answer, 200, post);
    else refuse(answer, 500, 'internal-error');
  });
  assert.equal((await new Byline(url).posts.get('1')).title, 'One');
  assert.equal((await caught(new Byline(url).posts.get('2'))).name, 'InternalError');
  assert.equal(asked.length, 5);
  const nobody = new Byline('http://127.0.0.1:1', { retries: 1 });
  assert((await caught(nobody.posts.get('1'))) instanceof TypeError);
});

check('a DELETE whose answer was lost has deleted it', async () => {
  const { url } = await serving((answer, _, count) =>
    count ? refuse(answer, 404, 'not-found') : drop(answer),
  );
  assert.equal(await new Byline(url).posts.delete('1'), undefined);
  assert.equal((await caught(new Byline(url).posts.delete('1'))).name, 'NotFound');
});

check('a key is waited for that a lost request still holds', async () => {
  const { url, asked } = await serving((answer, _, count) => {
    if (count === 0) drop(answer);
    else if (count === 1) refuse(answer, 409, 'idempotency-key-in-use');
    else json(answer, 201, post);
  });
  const byline = new Byline(url);
  assert.equal((await byline.posts.create({ title: 'A', content: 'B' })).id, '1');
  assert.equal(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size, 1);
  const busy = await serving((answer) => refuse(answer, 409, 'idempotency-key-in-use'));
  const call = new Byline(busy.url).posts.create({ title: 'A', content: 'B' }, { idempotencyKey: 'k' });
  assert.equal((await caught(call)).name, 'IdempotencyKeyInUse');
  assert.equal(busy.asked[0]?.headers['idempotency-key'], 'k');
  assert.equal(busy.asked.length, 1);
});

check('an empty key is none, and what has no key is tried once', async () => {
  const { url, asked } = await serving(drop);
  const byline = new Byline(url);
  const body = { title: 'A', content: 'B' };
  await caught(byline.posts.create(body, { idempotencyKey: '' }));
  const keys = new Set(asked.splice(0).map(({ headers }) => headers['idempotency-key']));
  assert(keys.size === 1 && [...keys][0]);
  await caught(byline.posts.create(body, { idempotencyKey: ' ' }));
  await caught(byline.posts.create(body, { headers: { 'Idempotency-Key': '' } }));
  assert.equal(asked.length, 2);
});

check('Retry-After is obeyed in both its forms, and not for more than a minute', async () => {
  const inTwoSeconds = () => new Date(Date.now() + 2000).toUTCString(); // to the second
  for (const wait of [() => '1', inTwoSeconds]) {
    const { url } = await serving((answer, _, count) =>
      count ? json(answer, 200, post) : limit(answer, wait()),
    );
    const start = performance.now();
    await new Byline(url).posts.get('1');
    assert(performance.now() - start > 900);
  }
  const { url, asked } = await serving((answer) => limit(answer, '61'));
  const error = await caught(new Byline(url).posts.get('1'));
  assert.deepEqual([error.name, error.retryAfter, asked.length], ['RateLimited', 61, 1]);
});

check('a service that does not answer, or not to the end, is given up in time', async () => {
  const { url } = await serving((answer, { path }) => {
    if (path.endsWith('2')) answer.writeHead(200, { 'Content-Type': 'application/json' }).write('{');
  });
  const byline = new Byline(url, { timeout: 50, retries: 1 });
  for (const id of ['1', '2']) {
    const error = await caught(byline.posts.get(id));
    assert.deepEqual([error.name, error instanceof DOMException], ['TimeoutError', true]);
  }
  const deaf: client.Fetch = () => new Promise(() => {});
  const call = new Byline(url, { fetch: deaf, retries: 0 }).posts.get('1', { timeout: 20 });
  assert.equal((await caught(call)).name, 'TimeoutError');
});

check('a caller can give up at any time, with a reason', async () => {
  const { url, asked } = await serving((answer, { path }) => {
    if (path.endsWith('1')) return;
    if (path.endsWith('2')) limit(answer, '30');
    else answer.writeHead(200, { 'Content-Type': 'application/json' }).write('{');
  });
  let answered = 0;
  const counting: client.Fetch = async (...given) => {
    const answer = await fetch(...given);
    answered++;
    return answer;
  };
  const byline = new Byline(url, { fetch: counting });
  // While it waits for an answer, for another try, and for the rest of a body.
  for (const [number, id] of ['1', '2', '3'].entries()) {
    const control = new AbortController();
    const call = caught(byline.posts.get(id, { signal: control.signal }));
    await until(() => asked.length === number + 1 && answered === number);
    control.abort(`no more ${id}`);
    assert.equal(await call, `no more ${id}`);
  }
  const signal = AbortSignal.abort('before');
  assert.equal(await caught(byline.posts.get('4', { signal })), 'before');
  assert.equal((await caught(byline.posts.get('5', { signal: AbortSignal.timeout(30) }))).name, 'TimeoutError');
  const arrived = asked.filter(({ path }) => !path.endsWith('4'));
  assert(arrived.length <= 4); // one for each, and none again
});

Math.random = () => 0; // no waits but those that are asked for
await run();
