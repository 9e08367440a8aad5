import type { CallOptions, ClientOptions, RawAnswer } from './client.js';
import { ApiError, hide } from './errors.js';
import {
  arranged,
  type Input,
  isStream,
  newKey,
  type Operation,
  sendable,
  sound,
  understood,
} from './messages.js';
import { operations, product, type SessionPart, roles } from './operations.js';
import { isOther, type Refresh, Session, type TokenAnswer } from './session.js';
import { memoryStore, tabsStore } from './stores.js';
import { type Line, type Received, type Signal, transfer } from './transfer.js';

const REPLACEABLE = new Set(['token-expired', 'invalid-token', 'session-revoked']);
const TRANSIENT = new Set([429, 502, 503, 504]);
const IN_USE = /"idempotency-key-in-use"/;
const REPEATABLE = new Set(['GET', 'HEAD', 'PUT', 'DELETE']);

/**
 * Calls operations on behalf of whoever is signed in, and proves who that is when it is asked.
 * @internal
 */
export class Caller {
  // Made here, so that bundlers can leave out what a program does not use.
  readonly operations: Operation[] = Object.entries(operations).flatMap(([tag, methods]) =>
    Object.entries(methods).map(([verb, [method, path, answer, features]]) => {
      return { name: `${tag}.${verb}`, method, path, answer, features };
    }),
  );
  readonly #options: ClientOptions;
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #line: Line;
  readonly #session: Session;
  #proving: Promise<boolean> | undefined;

  constructor(baseUrl: string, options: ClientOptions) {
    this.#options = options;
    // Now: fetch would print the password in it.
    if (!isAddress(baseUrl)) throw new TypeError('baseUrl is more or less than an address');
    this.#base = baseUrl.replace(/\/+$/, '');
    this.#token = sound(options.token);
    this.#line = {
      fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
      retries: options.retries ?? 3,
      onExchange: options.onExchange,
    };
    const name = `${product.name} ${this.#base}`;
    const hasCookie = options.transport === 'cookie';
    const store = options.store ?? (hasCookie ? tabsStore(name) : memoryStore());
    const refresh: Refresh = (bearer, once) => this.#refresh(bearer, once);
    this.#session = new Session(store, name, hasCookie, refresh, options.onAuthChange);
  }

  /** The operation of a name. */
  named(name: string): Operation {
    const found = this.operations.find((operation) => operation.name === name);
    if (!found) throw new TypeError(`there is no operation ${name}`);
    return found;
  }

  /** The operation that does this for sessions, if the API has one. */
  role(role: SessionPart): Operation | undefined {
    const name = roles[role];
    return name ? this.named(name) : undefined;
  }

  /** The answer of an operation; raises ApiError, UnexpectedAnswer, and what fetch raises. */
  async answer(
    operation: Operation,
    input: Input,
    mayComplete = true,
  ): Promise<RawAnswer<unknown>> {
    const { features } = operation;
    const options = { ...input.options };
    if (features.includes('k')) options.idempotencyKey ||= newKey();
    const remedies = new Set(['token', 'newer', 'proof']); // each helps once
    for (let before: string | undefined, refusal: unknown; ; ) {
      const bearer = await this.#bearer(features, options.signal);
      // What one user has asked for is not done as another, who has signed in meanwhile.
      if (refusal && isOther(bearer, before)) throw refusal;
      try {
        const answer = await this.#send(operation, { ...input, options }, bearer);
        if (features.includes('t')) await this.#goOnWith(answer.data as TokenAnswer);
        if (operation === this.role('logout')) await this.#session.end();
        return answer;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (mayComplete && features.includes('t') && error.code === 'second-factor-required')
          return this.#completed(operation, input, error);
        if (!(await this.#isRemedied(error, remedies, bearer, options.signal))) throw error;
        [before, refusal] = [bearer, error];
      }
    }
  }

  /** Ends the session. If the service cannot be told, that is raised, and the session goes on. */
  async signOut(options: CallOptions = {}): Promise<void> {
    const hasCookie = this.#options.transport === 'cookie';
    if (!hasCookie && !(await this.#session.read())) return;
    try {
      const operation = this.role('logout') as Operation;
      await this.answer(operation, arranged(operation, [options]));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      await this.#session.end(); // it had ended before
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

  async #refresh(bearer: string | undefined, once: boolean): Promise<TokenAnswer> {
    const operation = this.role('refresh') as Operation;
    const { data } = await this.#send(operation, arranged(operation, []), bearer, once);
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
    const next = (challenge && this.role('complete_login')) || operation;
    const body = challenge ? { challenge, ...factor } : factor;
    return this.answer(next, arranged(next, [body, options]), false);
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
      const reauthenticate = this.role('reauthenticate');
      if (proof === undefined || !reauthenticate) return false;
      const body = typeof proof === 'string' ? { password: proof } : proof;
      await this.answer(reauthenticate, arranged(reauthenticate, [body]));
      return true;
    };
    this.#proving ??= prove().finally(() => (this.#proving = undefined));
    return this.#proving;
  }

  /** One answer of the service, or what is raised in its place. */
  async #send(
    operation: Operation,
    input: Input,
    bearer: string | undefined,
    once = false,
  ): Promise<RawAnswer<unknown>> {
    const { name, method, answer, features } = operation;
    const { timeout, signal } = input.options;
    // The try before may still be at work on the same key.
    const isTransient = ({ status, body }: Received, retry: number) =>
      TRANSIENT.has(status) || (retry > 0 && status === 409 && IN_USE.test(new TextDecoder().decode(body)));
    const hasCookie = this.#options.transport === 'cookie';
    const request = sendable(this.#base, operation, input, bearer, hasCookie);
    const hasKey = features.includes('k') && new Headers(request.init.headers).get('Idempotency-Key');
    const received = await transfer(this.#line, {
      operation: name,
      ...request,
      // What has answered with tokens cannot succeed again: those that it was sent have ended.
      isRepeatable:
        !once &&
        (!!hasKey || /r/.test(features) || (REPEATABLE.has(method) && !/t/.test(features))),
      isStreamed: (status, headers) => answer === 'lines' && isStream(status, headers),
      isTransient,
      timeout: timeout ?? this.#options.timeout ?? 10_000,
      signal,
    });
    return understood(received, operation, input);
  }
}

/** Whether paths can follow it: it has no query, no fragment and no user. */
function isAddress(text: string): boolean {
  try {
    // Only pages know what it is relative to; the protocol is another than any it may have.
    const url = new URL(text, typeof location === 'undefined' ? undefined : 'ws://page');
    return /^(https?|ws):$/.test(url.protocol) && !/[?#]/.test(text) && !(url.username + url.password);
  } catch {
    return false;
  }
}
