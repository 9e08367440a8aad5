// What the programs beside this one have in common: checks with a name, and a service of a few lines.
//
// A program prints the name of each check that holds, and test_typescript_client.py reads that.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';

export type Asked = {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
};
/** What the service does with its n-th request, counted from 0: answer, or anything else. */
export type Behaviour = (answer: ServerResponse, asked: Asked, count: number) => unknown;

type Check = { name: string; body: () => Promise<unknown>; isLast: boolean };
const checks: Check[] = [];

/** A check to run; `isLast` for one about what all others have done. */
export function check(name: string, body: () => Promise<unknown>, isLast = false): void {
  checks.push({ name, body, isLast });
}

/** Run all checks at once, for some of them wait; then the last ones. */
export async function run(): Promise<void> {
  for (const last of [false, true])
    await Promise.all(checks.filter(({ isLast }) => isLast === last).map(held));
  process.exit();
}

async function held({ name, body }: Check): Promise<void> {
  try {
    await body();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}`);
    console.error(name, error);
  }
}

/** A service at an address, and what it was asked. */
export async function serving(behave: Behaviour): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer(async (request, answer) => {
    let body = '';
    for await (const piece of request) body += piece;
    const { method = '', url: path = '', headers } = request;
    asked.push({ method, path, headers, body });
    try {
      await behave(answer, asked.at(-1) as Asked, asked.length - 1);
    } catch (error) {
      console.error(path, error);
      answer.destroy();
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** What a call raises. */
export const caught = (work: Promise<unknown>): Promise<any> =>
  work.then((value) => assert.fail(`no error, but ${inspect(value)}`), (error) => error);

/** Answer with JSON. */
export function json(answer: ServerResponse, status: number, value: unknown, headers = {}): void {
  const media = status < 400 ? 'application/json' : 'application/problem+json';
  answer.writeHead(status, { 'Content-Type': media, ...headers }).end(JSON.stringify(value));
}

/** Refuse with a problem. */
export function refuse(answer: ServerResponse, status: number, code: string, more = {}): void {
  const about = { type: `/problems/${code}`, title: code, detail: `It is ${code}.`, ...more };
  json(answer, status, { ...about, status, code, instance: 'urn:request:1', request_id: '1' });
}

/** End the connection without an answer. */
export const drop = (answer: ServerResponse) => answer.destroy();

export const until = async (holds: () => boolean): Promise<void> => {
  for (const deadline = Date.now() + 60_000; !holds(); await new Promise((r) => setTimeout(r, 5)))
    if (Date.now() > deadline) throw new Error('waited in vain');
};

export const post = { id: '1', title: 'One', content: 'Words.', author: { id: '2', username: 'a' } };
