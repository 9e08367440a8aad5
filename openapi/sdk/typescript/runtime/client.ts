import { Caller } from './caller.js';
import { type AnswerHeaders, type ApiError, hide } from './errors.js';
import type { Changes, Operations } from './facade.js';
import type { Pages } from './lists.js';
import { arranged } from './messages.js';
import { Methods } from './methods.js';
import type { IdentityProof, SecondFactorProof } from './operations.js';
import type { AuthChange } from './session.js';
import type { SessionStore } from './stores.js';
import type { Exchange, Fetch, Signal } from './transfer.js';

export interface ClientOptions {
  /** A personal token or an access token, instead of signing in. */
  token?: string | undefined;
  /** Where the session is kept: in memory by default, or `localStorageStore()`. */
  store?: SessionStore | undefined;
  /** Milliseconds for each try, its body included; 10 000 by default. */
  timeout?: number | undefined;
  /** How often a call that is safe to repeat is tried again; 3 by default. */
  retries?: number | undefined;
  /** `cookie`, in browsers: the refresh token is in a cookie that no script can read. */
  transport?: 'cookie' | undefined;
  /** Asked when a password alone is not enough: a code, or another proof. */
  secondFactor?: ((error: ApiError) => Awaitable<SecondFactorProof | string | undefined>) | undefined;
  /** Asked when the sign-in is too old for an operation: the password, or another proof. */
  reauthenticate?: ((error: ApiError) => Awaitable<IdentityProof | string | undefined>) | undefined;
  /**
   * Told when somebody has signed in or out, or tokens were renewed, here or in another tab. Nobody
   * catches what it throws.
   */
  onAuthChange?: ((change: AuthChange) => void) | undefined;
  /** Told of each request, without secrets. Nobody catches what it throws. */
  onExchange?: ((exchange: Exchange) => void) | undefined;
  /** Used in place of the global `fetch`. */
  fetch?: Fetch | undefined;
}

export interface CallOptions {
  /** An `AbortSignal` that gives the call up. */
  signal?: Signal | undefined;
  /** Milliseconds for each try, its body included. */
  timeout?: number | undefined;
  /** In place of the client's own, where the operation takes one. */
  idempotencyKey?: string | undefined;
  /** In place of the `ETag` of what was read; `*` for any version. */
  ifMatch?: string | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}

/** An answer with what is around its data. */
export interface RawAnswer<Data> {
  /** Undefined where there is none, as in a 304. */
  data: Data;
  status: number;
  headers: AnswerHeaders;
}

/** The name of an operation, such as `posts.list`. */
export type OperationName = Exclude<
  { [Tag in keyof Operations]: `${Tag}.${keyof Operations[Tag] & string}` }[keyof Operations],
  Changes
>;

/** What an operation answers: of a list, one page; of lines, their bytes. */
export type RawData<Name> =
  ReturnType<Method<Name>> extends Promise<infer Data>
    ? Data
    : ReturnType<Method<Name>> extends Pages<infer Item>
      ? Item[]
      : AsyncIterable<Uint8Array>;

type Method<Name> = Name extends `${infer Tag extends keyof Operations}.${infer Rest}`
  ? Rest extends keyof Operations[Tag]
    ? Extract<Operations[Tag][Rest], (...given: never[]) => unknown>
    : never
  : never;

/** An id, or an object that has one. */
export type Ref<Id = string> = Id | { readonly id: Id };

export type Awaitable<Value> = Value | Promise<Value>;

/** @internal */
export const PARTS: unique symbol = Symbol('parts');

export class Client {
  // A function, because frameworks that wrap objects deeply leave it as it is.
  /** @internal */
  declare readonly [PARTS]: () => { caller: Caller; methods: Methods };

  /** @internal */
  constructor(baseUrl: string | { readonly href: string }, options: ClientOptions) {
    const caller = new Caller(typeof baseUrl === 'string' ? baseUrl : baseUrl.href, options);
    const methods = new Methods(caller);
    hide(this, { [PARTS]: () => ({ caller, methods }) });
    Object.assign(this, methods.byTag());
  }

  /** Calls an operation by its name, for the whole answer. */
  request<Name extends OperationName>(
    operation: Name,
    ...given: Parameters<Method<Name>>
  ): Promise<RawAnswer<RawData<Name>>> {
    const { caller } = this[PARTS]();
    const found = caller.named(operation);
    return caller.answer(found, arranged(found, given)) as Promise<RawAnswer<RawData<Name>>>;
  }
}
