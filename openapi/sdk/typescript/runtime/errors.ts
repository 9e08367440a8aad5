import type { Problem } from './schemas.js';

/** Headers of an answer; a `Headers` of fetch. */
export interface AnswerHeaders {
  get(name: string): string | null;
  has(name: string): boolean;
  forEach(each: (value: string, name: string) => void): void;
}

/** What is wrong with a value in a request. */
export interface Correction {
  /** A JSON pointer into the body, or the name of a parameter. */
  pointer: string;
  /** The rule that was broken. */
  code: string;
  detail: string;
}

/**
 * What the problems of any service of this kind have.
 * @internal
 */
interface Members {
  status: number;
  code: Problem['code'];
  title: string;
  detail: string;
  request_id: string;
  errors?: Correction[];
}

/** The service has refused: an answer with a problem document (RFC 9457). */
export class ApiError extends Error {
  readonly status: number;
  /** What to branch on: stable, in kebab-case; a newer service may have others. */
  readonly code: Problem['code'];
  readonly title: string;
  /** An explanation of this occurrence, for people. */
  readonly detail: string;
  /** Quote it when you report a problem. */
  readonly requestId: string;
  /** What to correct, with `invalid-request`. */
  readonly errors: readonly Correction[];
  /** Seconds to wait before another try, if the service says so. */
  readonly retryAfter: number | undefined;
  declare readonly headers: AnswerHeaders;
  /** The whole document; not printed: it may have a `challenge`. */
  declare readonly problem: Problem;

  /** @internal */
  constructor(problem: Problem, headers: AnswerHeaders) {
    const { status, code, title, detail, request_id, errors = [] } = problem as unknown as Members;
    const broken = errors.map(({ pointer, detail }) => ` ${pointer}: ${detail}`).join(';');
    super(`${detail}${broken} (${code}, request ${request_id})`);
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = detail;
    this.requestId = request_id;
    this.errors = errors;
    this.retryAfter = retryAfter(headers);
    hide(this, { headers, problem, name: 'ApiError' });
  }
}

/** 412: somebody else has changed it since it was read. */
export class PreconditionFailed extends ApiError {
  declare readonly name: 'PreconditionFailed';
  /** What it is now; undefined if it could not be read. */
  current: unknown;
}

/** An answer that is not the service's, but a proxy's, a gateway's or a captive portal's. */
export class UnexpectedAnswer extends Error {
  readonly status: number;
  declare readonly headers: AnswerHeaders;
  /** Its bytes; not printed. */
  declare readonly body: Uint8Array;

  /** @internal */
  constructor(status: number, headers: AnswerHeaders, body: Uint8Array) {
    const type = headers.get('Content-Type') ?? 'no content type';
    super(`An answer that is not the service's: ${status}, ${type}, ${body.length} bytes`);
    this.status = status;
    hide(this, { headers, body, name: 'UnexpectedAnswer' });
  }

  get text(): string {
    return new TextDecoder().decode(this.body);
  }
}

/**
 * Seconds of a `Retry-After` in either form, undefined without one.
 * @internal
 */
export function retryAfter(headers: AnswerHeaders): number | undefined {
  const value = headers.get('Retry-After');
  if (!value) return undefined;
  const seconds = Number(value);
  const now = Date.parse(headers.get('Date') ?? '') || Date.now(); // this machine's may be wrong
  const wait = Number.isNaN(seconds) ? (Date.parse(value) - now) / 1000 : seconds;
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

/**
 * Give an object members that neither console.log, JSON nor spread shows.
 * @internal
 */
export function hide(target: object, members: Record<PropertyKey, unknown>): void {
  for (const key of Reflect.ownKeys(members)) {
    const value = members[key as string];
    const hidden = { enumerable: false, configurable: true, writable: true };
    Object.defineProperty(target, key, { value, ...hidden });
  }
}
