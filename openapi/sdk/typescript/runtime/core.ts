import type { CallOptions, ClientOptions, RawAnswer } from './client.js';
import { ApiError, hide, PreconditionFailed } from './errors.js';
import { Lines, Pages } from './lists.js';
import {
  arranged,
  type Input,
  isObject,
  isStream,
  newKey,
  type Operation,
  pathOf,
  sendable,
  understood,
} from './messages.js';
import { operations, product, type SessionPart, roles } from './operations.js';
import { memoryStore, Session, tabsStore, type TokenAnswer } from './session.js';
import { type Line, pause, type Received, type Signal, transfer } from './transfer.js';

type Given = readonly unknown[];

// The ETag with which each object was read, and the path of what it is the tag of.
const tags = new WeakMap<object, { tag: string; path: string }>();
const STALE = '"stale"';
const REPLACEABLE = new Set(['token-expired', 'invalid-token', 'session-revoked']);
const TRANSIENT = new Set([429, 502, 503, 504]);
const IN_USE = /"idempotency-key-in-use"/;
const REPEATABLE = new Set(['GET', 'HEAD', 'PUT', 'DELETE']);
const CHANGES_BEFORE_GIVING_UP = 20;
// With a query, a fragment or a user, or for another protocol.
const NO_ADDRESS = /[?#]|\/\/[^/]*@|^(?!\s*https?:)\s*[a-z][\w+.-]*:/i;

/**
 * What a client does for its operations: stay signed in, repeat, remember what was read.
 *
 * Operations are given what their methods are: values of the path, body, query, options.
 * @internal
 */
export class Core {
  readonly #options: ClientOptions;
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #line: Line;
  readonly #session: Session;
  // Made here, so that bundlers can leave out what a program does not use.
  readonly #all: Operation[] = Object.entries(operations).flatMap(([tag, methods]) =>
    Object.entries(methods).map(([verb, [method, path, answer, features]]) => {
      return { name: `${tag}.${verb}`, method, path, answer, features };
    }),
  );
  #proving: Promise<boolean> | undefined;

  constructor(baseUrl: string, options: ClientOptions) {
    this.#options = options;
    // Browsers know what an address is relative to; elsewhere this raises a TypeError.
    if (typeof location === 'undefined') new URL(baseUrl);
    // Now: fetch would print the password in it.
    if (NO_ADDRESS.test(baseUrl)) throw new TypeError('baseUrl is more or less than an address');
    this.#base = baseUrl.replace(/\/+$/, '');
    this.#token = options.token?.trim();
    if (this.#token && !/^[!-~]+$/.test(this.#token))
      throw new TypeError('token has characters that no token has'); // fetch would print it
    this.#line = {
      fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
      retries: options.retries ?? 3,
      onExchange: options.onExchange,
    };
    const name = `${product.name} ${this.#base}`;
    const hasCookie = options.transport === 'cookie';
    const store = options.store ?? (hasCookie ? tabsStore(name) : memoryStore());
    const renew = (bearer?: string) => this.#renew(bearer);
    this.#session = new Session(store, name, hasCookie, renew, options.onAuthChange);
  }

  /** The operations as methods of their tags. */
  methods(): Record<string, Record<string, (...given: Given) => unknown>> {
    const found: ReturnType<Core['methods']> = {};
    for (const operation of this.#all) {
      const [tag = '', verb = ''] = operation.name.split('.');
      const methods = (found[tag] ??= {});
      methods[verb] = (...given) => this.#run(operation, given);
      if (operation.features.includes('m') && operation.features.includes('d'))
        methods[verb.replace(/^[a-z]+/, 'change')] = (...given) => this.#change(operation, given);
    }
    return found;
  }

  /** The answer of an operation; raises ApiError, UnexpectedAnswer, and what fetch raises. */
  request(name: string, given: Given): Promise<RawAnswer<unknown>> {
    const operation = this.#named(name);
    return this.#answered(operation, arranged(operation, given));
  }

  #run(operation: Operation, given: Given): unknown {
    const input = arranged(operation, given);
    if (operation.features.includes('p'))
      return new Pages((next) => {
        const query = next ?? input.query;
        return this.#answered(operation, { ...input, query }) as Promise<RawAnswer<unknown[]>>;
      });
    if (operation.answer === 'lines')
      return new Lines(
        () => this.#answered(operation, input) as Promise<RawAnswer<AsyncIterable<Uint8Array>>>,
      );
    return this.#remembered(operation, input);
  }

  /** Reads, changes and writes, and begins again when somebody else was faster. */
  async #change(operation: Operation, given: Given): Promise<unknown> {
    const { of, body: change, options } = arranged(operation, given);
    for (let tries = 1; ; tries++) {
      const current = await this.#read(operation, of, options);
      const body = await (change as (current: object) => unknown)(current);
      if (body === undefined) return current;
      const ifMatch = tags.get(current)?.tag ?? '*';
      try {
        const input = { of, body, query: undefined, options: { ...options, ifMatch } };
        return await this.#remembered(operation, input);
      } catch (error) {
        const isStale = error instanceof PreconditionFailed;
        if (!isStale || tries === CHANGES_BEFORE_GIVING_UP) throw error;
      }
      await pause(Math.random() * 0.1 * tries, options.signal);
    }
  }

  signIn(credentials: object, options?: CallOptions): unknown {
    return this.#run(this.#role('login') as Operation, [credentials, options]);
  }

  /** Ends the session. If the service cannot be told, that is raised, and the session goes on. */
  async signOut(options: CallOptions = {}): Promise<void> {
    const hasCookie = this.#options.transport === 'cookie';
    if (!hasCookie && !(await this.#session.read())) return;
    try {
      await this.#run(this.#role('logout') as Operation, [options]);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      await this.#session.end(); // it had ended before
    }
  }

  async #answered(operation: Operation, input: Input): Promise<RawAnswer<unknown>> {
    const { features } = operation;
    const options = { ...input.options };
    if (features.includes('k')) options.idempotencyKey ??= newKey();
    const remedies = new Set(['token', 'newer', 'proof']); // each helps once
    for (;;) {
      const bearer = await this.#bearer(features, options.signal);
      try {
        const answer = await this.#send(operation, { ...input, options }, bearer);
        if (features.includes('t')) await this.#goOnWith(answer.data as TokenAnswer);
        if (operation === this.#role('logout')) await this.#session.end();
        return answer;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (features.includes('t') && error.code === 'second-factor-required')
          return this.#completed(operation, input, error);
        if (!(await this.#isRemedied(error, remedies, bearer, options.signal))) throw error;
      }
    }
  }

  async #remembered(operation: Operation, input: Input): Promise<unknown> {
    const options = { ...input.options };
    const seen = input.of.at(-1);
    if (operation.features.includes('m')) options.ifMatch ??= await this.#tag(operation, input);
    if (operation.features.includes('o')) options.ifMatch ??= tagAt(pathOf(operation, input), seen);
    try {
      const { data, headers } = await this.#answered(operation, { ...input, options });
      const tag = headers.get('ETag');
      const path = headers.get('Location') ?? pathOf(operation, input);
      if (tag && isObject(data)) tags.set(data, { tag, path });
      return data;
    } catch (error) {
      if (error instanceof PreconditionFailed)
        error.current = await this.#read(operation, input.of, options).catch(() => undefined);
      throw error;
    }
  }

  /** What accepts either token is sent the one that does not expire so soon. */
  async #bearer(features: string, signal: Signal | undefined): Promise<string | undefined> {
    if (features.includes('r')) {
      if (this.#options.transport === 'cookie') return undefined;
      const tokens = await this.#session.read();
      if (tokens?.refresh_token || !features.includes('a')) return tokens?.refresh_token;
    }
    if (features.includes('a')) return (await this.#session.bearer(signal)) ?? this.#token;
    return undefined;
  }

  async #renew(bearer: string | undefined): Promise<TokenAnswer> {
    const operation = this.#role('refresh') as Operation;
    const { data } = await this.#send(operation, arranged(operation, []), bearer);
    return data as TokenAnswer;
  }

  /** Keep the tokens, and hide them from those who print the answer. */
  async #goOnWith(answer: TokenAnswer): Promise<void> {
    const { access_token, refresh_token } = answer;
    await this.#session.keep(answer);
    hide(answer, refresh_token ? { access_token, refresh_token } : { access_token });
  }

  /** The answer of what takes the second factor: the same operation, if it has no challenge. */
  async #completed(
    operation: Operation,
    { options }: Input,
    error: ApiError,
  ): Promise<RawAnswer<unknown>> {
    const proof = await this.#options.secondFactor?.(error);
    if (proof === undefined) throw error;
    const factor = typeof proof === 'string' ? { code: proof } : proof;
    const { challenge } = error.problem as { challenge?: string };
    const next = (challenge && this.#role('complete_login')) || operation;
    const body = challenge ? { challenge, ...factor } : factor;
    return this.#answered(next, arranged(next, [body, options]));
  }

  /** Whether the call may succeed now: with other tokens, or a fresh proof of who it is. */
  async #isRemedied(
    error: ApiError,
    remedies: Set<string>,
    bearer: string | undefined,
    signal: Signal | undefined,
  ): Promise<boolean> {
    const { code } = error;
    const isOfSession = bearer !== undefined && bearer !== this.#token;
    if (code === 'authentication-too-old') {
      // Meanwhile, another call may have asked for the proof.
      const isOld = isOfSession && bearer !== (await this.#session.read())?.access_token;
      return (isOld && remedies.delete('newer')) || (remedies.delete('proof') && this.#proved(error));
    }
    if (!isOfSession || !REPLACEABLE.has(code) || !remedies.delete('token')) return false;
    return this.#session.replaced(bearer, code === 'session-revoked', signal);
  }

  /** Whether the user has proved again who it is; all calls that need it ask once. */
  #proved(error: ApiError): Promise<boolean> {
    const prove = async () => {
      const proof = await this.#options.reauthenticate?.(error);
      const reauthenticate = this.#role('reauthenticate');
      if (proof === undefined || !reauthenticate) return false;
      const body = typeof proof === 'string' ? { password: proof } : proof;
      await this.#answered(reauthenticate, arranged(reauthenticate, [body]));
      return true;
    };
    this.#proving ??= prove().finally(() => (this.#proving = undefined));
    return this.#proving;
  }

  /** The If-Match of a change: the version that the caller has seen; any, of only an id. */
  async #tag(operation: Operation, input: Input): Promise<string> {
    const { of, body, options } = input;
    const seen = of.at(-1);
    if (!isObject(seen)) return '*';
    const known = tagAt(pathOf(operation, input), seen);
    if (known) return known;
    // It is of a list, or a copy. If it equals what is there now, it is of that version.
    const current = await this.#read(operation, of, options);
    const changes = isObject(body) ? body : {};
    const isSame = Object.entries(seen).every(
      ([member, value]) =>
        !(member in current) || isEqual(current[member], value) || isEqual(changes[member], value),
    );
    return isSame ? (tags.get(current)?.tag ?? '*') : STALE;
  }

  /** What is there now, by the operation that reads at the same path. */
  async #read(
    { name, path }: Operation,
    of: Given,
    { signal, timeout }: CallOptions,
  ): Promise<Record<string, unknown>> {
    const reader = this.#all.find((one) => one.method === 'GET' && one.path === path);
    if (!reader) throw new TypeError(`${name} needs ifMatch: nothing reads ${path}`);
    const input = { of, body: undefined, query: undefined, options: { signal, timeout } };
    return (await this.#remembered(reader, input)) as Record<string, unknown>;
  }

  #role(role: SessionPart): Operation | undefined {
    const name = roles[role];
    return name ? this.#named(name) : undefined;
  }

  #named(name: string): Operation {
    const found = this.#all.find((operation) => operation.name === name);
    if (!found) throw new TypeError(`there is no operation ${name}`);
    return found;
  }

  /** One answer of the service, or what is raised in its place. */
  async #send(
    operation: Operation,
    input: Input,
    bearer: string | undefined,
  ): Promise<RawAnswer<unknown>> {
    const { name, method, answer, features } = operation;
    const { timeout, signal } = input.options;
    // The try before may still be at work on the same key.
    const isTransient = ({ status, body }: Received, retry: number) =>
      TRANSIENT.has(status) || (retry > 0 && status === 409 && IN_USE.test(new TextDecoder().decode(body)));
    const received = await transfer(this.#line, {
      operation: name,
      ...sendable(this.#base, operation, input, bearer, this.#options.transport === 'cookie'),
      isRepeatable: REPEATABLE.has(method) || /[kr]/.test(features),
      isStreamed: (status, headers) => answer === 'lines' && isStream(status, headers),
      isTransient,
      timeout: timeout ?? this.#options.timeout ?? 10_000,
      signal,
    });
    return understood(received, operation, input);
  }
}

function tagAt(path: string, seen: unknown): string | undefined {
  const known = isObject(seen) ? tags.get(seen) : undefined;
  return known?.path === path ? known.tag : undefined;
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
