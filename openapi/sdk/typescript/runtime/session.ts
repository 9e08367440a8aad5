import { ApiError } from './errors.js';
import type { SessionStore, SessionTokens } from './stores.js';
import { pause, type Signal, unlessAborted } from './transfer.js';

/** What `onAuthChange` is told: also `signed-in` when another tab has signed somebody else in. */
export type AuthChange = 'signed-in' | 'refreshed' | 'signed-out';

/**
 * Asks for new tokens; only `once`, if nothing is lost when the service is busy.
 * @internal
 */
export type Refresh = (bearer: string | undefined, once: boolean) => Promise<TokenAnswer>;

/** @internal */
export interface TokenAnswer {
  access_token: string;
  refresh_token?: string | undefined;
  expires_in?: number;
}

const LOCK_TIMEOUT_MS = 10_000; // a page that was put to sleep may hold a lock for ever
const EARLY_MS = 10_000; // before the expiry, a token is renewed
const BUSY_MS = 5000; // between early tries to renew a token
const AT_ONCE_MS = 10; // a lock that nobody else had is given within this
const SETTLE_SECONDS = 0.05; // until what another tab has kept has arrived here
const FOR_EVER_SECONDS = 1e9;
const REFUSED = new Set([401, 403]);

// The last such work of each store, also where there are no Web Locks.
const turns = new WeakMap<SessionStore, Promise<unknown>>();

/**
 * Who is signed in. Tokens are renewed by one call at a time, here and (Web Locks) in all tabs.
 *
 * The store alone knows the tokens: another tab may have replaced them at any time.
 * @internal
 */
export class Session {
  readonly #store: SessionStore;
  readonly #service: string;
  readonly #hasCookie: boolean;
  readonly #refresh: Refresh;
  readonly #onChange: ((change: AuthChange) => void) | undefined;
  #renewing: Promise<SessionTokens | undefined> | undefined;
  #known: SessionTokens | undefined;
  /** Until then, a token that is still good is used, for the service is busy. */
  #busyUntil = 0;
  /** With a cookie: whether a refresh is worth a try, for no script can see that there is one. */
  #mayHaveCookie: boolean;

  constructor(
    store: SessionStore,
    service: string,
    hasCookie: boolean,
    refresh: Refresh,
    onChange: ((change: AuthChange) => void) | undefined,
  ) {
    this.#store = store;
    this.#service = service;
    this.#hasCookie = this.#mayHaveCookie = hasCookie;
    this.#refresh = refresh;
    this.#onChange = onChange;
    if (!onChange) return; // each call looks by itself
    // A store that fails does so again when a call needs it.
    const look = () => void this.read().catch(() => {});
    store.subscribe?.(look);
    look();
  }

  /** The tokens as they are in the store now. */
  async read(): Promise<SessionTokens | undefined> {
    const tokens = await this.#kept();
    this.#notice(tokens);
    return tokens;
  }

  /** What the store has, unless it is of a client of another service. */
  async #kept(): Promise<SessionTokens | undefined> {
    const tokens = await this.#store.get();
    return (tokens?.service ?? this.#service) === this.#service ? tokens : undefined;
  }

  /** An access token that is good for some seconds, if somebody is signed in. */
  async bearer(signal: Signal | undefined): Promise<string | undefined> {
    const tokens = await this.read();
    const now = Date.now();
    const isGood = tokens && now < tokens.expires_at;
    const isGoodEnough = isGood && (isFresh(tokens) || now < this.#busyUntil);
    if (isGoodEnough || !(tokens || this.#mayHaveCookie)) return tokens?.access_token;
    try {
      const stale = tokens?.access_token;
      const renewed = await unlessAborted(signal, this.#renewed(stale, isGood));
      // Somebody else's is not for this call: it is refused.
      return renewed && isOther(renewed.access_token, stale) ? stale : renewed?.access_token;
    } catch (error) {
      if (!isGood || signal?.aborted || isRefusal(error)) throw error;
      this.#busyUntil = Date.now() + BUSY_MS;
      return tokens.access_token;
    }
  }

  /** Whether there are other tokens now than one that was refused; ApiError if it is all over. */
  async replaced(stale: string, isOver: boolean, signal: Signal | undefined): Promise<boolean> {
    if (isOver) return this.#isOvertaken(stale);
    return (await unlessAborted(signal, this.#renewed(stale))) !== undefined;
  }

  /** Go on with new tokens: of who has signed in, or of the same session. */
  async keep(answer: TokenAnswer): Promise<SessionTokens> {
    const { access_token, refresh_token, expires_in } = answer;
    const lifetime = (expires_in ?? FOR_EVER_SECONDS) * 1000;
    const expires_at = Date.now() + lifetime;
    const tokens: SessionTokens = { access_token, expires_at, lifetime, service: this.#service };
    if (refresh_token) tokens.refresh_token = refresh_token;
    await this.#write(tokens);
    return tokens;
  }

  /** Nobody is signed in any more. */
  end(): Promise<void> {
    return this.#alone(() => this.#write(undefined));
  }

  /** Whether somebody known has signed in since; otherwise, nobody is with that token any more. */
  #isOvertaken(stale: string): Promise<boolean> {
    return this.#alone(async () => {
      const tokens = await this.read();
      if (tokens && tokens.access_token !== stale) return subject(stale) !== undefined;
      await this.#write(undefined);
      return false;
    });
  }

  #renewed(stale: string | undefined, isEarly = false): Promise<SessionTokens | undefined> {
    const work = async () => {
      const tokens = await this.read();
      if (tokens && tokens.access_token !== stale && isFresh(tokens)) return tokens;
      if (!tokens?.refresh_token && !this.#hasCookie) return undefined;
      return this.#exchanged(tokens, isEarly);
    };
    this.#renewing ??= this.#alone(work).finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  async #exchanged(
    tokens: SessionTokens | undefined,
    isEarly: boolean,
  ): Promise<SessionTokens | undefined> {
    let answer: TokenAnswer;
    try {
      answer = await this.#refresh(tokens?.refresh_token, isEarly);
    } catch (error) {
      const now = await this.read();
      if (now?.access_token !== tokens?.access_token) return now;
      // Only a refusal ends the session. A lost answer, or a busy service, says nothing of it.
      if (isRefusal(error)) await this.#write(undefined);
      throw error;
    }
    const now = await this.#kept(); // meanwhile, somebody may have signed in or out
    return now?.access_token === tokens?.access_token ? this.keep(answer) : now;
  }

  async #write(tokens: SessionTokens | undefined): Promise<void> {
    this.#mayHaveCookie = this.#hasCookie && tokens !== undefined;
    if (tokens || (await this.#kept())) await this.#store.set(tokens);
    this.#notice(tokens);
  }

  #notice(tokens: SessionTokens | undefined): void {
    const before = this.#known;
    this.#known = tokens;
    if (before?.access_token === tokens?.access_token) return;
    if (tokens && this.#hasCookie) this.#mayHaveCookie = true;
    const isSame = before && tokens && subject(before.access_token) === subject(tokens.access_token);
    const change = !tokens ? 'signed-out' : isSame ? 'refreshed' : 'signed-in';
    // Of its own accord: what it calls may need what this call holds, and what it raises is its own.
    queueMicrotask(() => this.#onChange?.(change));
  }

  /** Do the work while no other call or tab is at such work. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const before = turns.get(this.#store) ?? Promise.resolve();
    const done = before.then(() => locked(this.#service, work));
    turns.set(this.#store, done.catch(() => {}));
    return done;
  }
}

/** A lock is only to save refreshes: where there is none, or it is never given, work goes on. */
async function locked<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return work();
  const asked = performance.now();
  let hasBegun = false;
  const begin = async () => {
    hasBegun = true;
    if (performance.now() - asked > AT_ONCE_MS) await pause(SETTLE_SECONDS);
    return work();
  };
  try {
    return await locks.request(name, { signal: AbortSignal.timeout(LOCK_TIMEOUT_MS) }, begin);
  } catch (error) {
    if (hasBegun) throw error;
    return work();
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && REFUSED.has(error.status);
}

function isFresh({ expires_at, lifetime }: SessionTokens): boolean {
  return Date.now() < expires_at - Math.min(EARLY_MS, lifetime / 10);
}

/**
 * Whether a token is known not to be of the user whose token was sent before.
 * @internal
 */
export function isOther(token: string | undefined, before: string | undefined): boolean {
  const user = subject(before);
  return user !== undefined && subject(token) !== user;
}

/** Whose token it is, if it is a JSON web token. */
function subject(token = ''): unknown {
  try {
    const [, claims = ''] = token.split('.');
    return JSON.parse(atob(claims.replace(/-/g, '+').replace(/_/g, '/'))).sub;
  } catch {
    return undefined;
  }
}
