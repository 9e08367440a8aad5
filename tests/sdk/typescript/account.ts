// A service with one account, for programs that sign in.
import type { ServerResponse } from 'node:http';
import { type AuthChange, Byline, type ClientOptions, memoryStore, type SessionTokens } from 'byline-client';
import { type Asked, json, refuse, serving, until } from './checks.ts';

export const token = (kind: string, n: number, sub = 'anna') =>
  `eyJ${kind}${n}.${Buffer.from(JSON.stringify({ sub })).toString('base64url')}.secret`;

/**
 * A service with one account. What is in `instead` for a path answers in its place, once each; an
 * access token that is in `refused` is refused with that code.
 */
export async function service() {
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
export async function signedIn(options: ClientOptions = {}) {
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
