import type { CallOptions, RawAnswer } from './client.js';
import { type AnswerHeaders, ApiError, hide, UnexpectedAnswer } from './errors.js';
import { product } from './operations.js';
import { problems } from './problems.js';
import type { Problem } from './schemas.js';
import type { FetchInit, Received } from './transfer.js';

/** @internal */
export type OperationRow = readonly [
  method: string,
  path: string,
  answer: Operation['answer'],
  features: string,
];

/** @internal */
export interface Operation {
  /** Tag and method, such as `posts.list`. */
  name: string;
  method: string;
  path: string;
  /** What a success has in it: nothing, a JSON object or array, lines of JSON, or a text. */
  answer: '' | 'object' | 'array' | 'lines' | `${string}/${string}`;
  /**
   * A letter each: `d` has a body (document), `q` a query; `p` answers in pages; `a` takes an access
   * token, `r` a refresh token, `c` the cookie of one, `k` an Idempotency-Key; `m` demands If-Match,
   * `o` takes it; `t` answers with tokens, `b` lets its body say where the refresh token goes.
   */
  features: string;
}

/**
 * The arguments of an operation, each in its place; `of` are the values in the path.
 * @internal
 */
export interface Input {
  of: readonly unknown[];
  body: unknown;
  query: object | undefined;
  options: CallOptions;
}

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\b/i;

// Browsers have a name of their own, and do not let scripts change it.
const { process } = globalThis as { process?: { versions?: { node?: string } } };
const node = typeof document === 'undefined' ? process?.versions?.node : undefined;
const AGENT = node && { 'User-Agent': `${product.package}/${product.version} node/${node}` };

/**
 * The arguments of a method: those of the path, the body, the query, and options.
 * @internal
 */
export function arranged({ path, features }: Operation, given: readonly unknown[]): Input {
  const rest = [...given];
  const of = rest.splice(0, path.split('{').length - 1);
  const next = (feature: string) => (features.includes(feature) ? rest.shift() : undefined);
  const body = next('d');
  const query = next('q') as object | undefined;
  return { of, body, query, options: (rest[0] as CallOptions | undefined) ?? {} };
}

/**
 * A request of an operation, as fetch takes it. Raises TypeError for what no address or header can be.
 * @internal
 */
export function sendable(
  base: string,
  { method, path, features }: Operation,
  { of, body, query, options }: Input,
  bearer: string | undefined,
  hasCookie: boolean,
): { url: string; init: Omit<FetchInit, 'signal' | 'redirect'> } {
  const headers: Record<string, string> = { ...(AGENT || {}) };
  if (bearer) headers['Authorization'] = `Bearer ${sound(bearer)}`;
  if (features.includes('k') && options.idempotencyKey)
    headers['Idempotency-Key'] = options.idempotencyKey;
  if (options.ifMatch) headers['If-Match'] = options.ifMatch;
  const init: Omit<FetchInit, 'signal' | 'redirect'> = { method, headers };
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
    const asksForCookie = hasCookie && features.includes('b');
    init.body = JSON.stringify(asksForCookie ? { ...body, transport: 'cookie' } : body);
  }
  if (hasCookie && /[bc]/.test(features)) init.credentials = 'include';
  Object.assign(headers, options.headers);
  new Headers(headers); // raises now, and is not taken for a lost connection
  return { url: base + pathOf({ path }, { of }) + queried(query ?? {}), init };
}

/**
 * The path with its values; raises TypeError for what is no id.
 * @internal
 */
export function pathOf({ path }: Pick<Operation, 'path'>, { of }: Pick<Input, 'of'>): string {
  const given = of.values();
  return path.replace(/{(\w+)}/g, (_, name: string) => {
    const id = given.next().value;
    const value = String((isObject(id) ? id['id'] : id) ?? '');
    // An address would lose these, and be that of something else.
    if (['', '.', '..'].includes(value)) throw new TypeError(`${name} must be an id`);
    return encodeURIComponent(value);
  });
}

/**
 * Whether lines follow, rather than a problem or what a proxy says.
 * @internal
 */
export function isStream(status: number, headers: AnswerHeaders): boolean {
  return status === 200 && /ndjson/i.test(headers.get('Content-Type') ?? '');
}

/**
 * The answer, if it is one of the service; raises ApiError or UnexpectedAnswer.
 * @internal
 */
export function understood(
  received: Received & { lost: boolean },
  { method, answer, features }: Operation,
  { options }: Input,
): RawAnswer<unknown> {
  const { status, headers, body, stream, lost } = received;
  const success = (data?: unknown) => ({ data, status, headers });
  const type = headers.get('Content-Type') ?? '';
  const value = JSON_TYPE.test(type) ? parsed(body) : undefined;
  const isDocument = isObject(value) && !Array.isArray(value);
  if (stream) return success(stream);
  if (status === 304 && new Headers(options.headers).has('If-None-Match')) return success();
  if (status >= 200 && status < 300) {
    const isWhole = isDocument && (!features.includes('t') || hasTokens(value));
    if (answer === 'array' ? Array.isArray(value) : answer === 'object' && isWhole)
      return success(value);
    if (answer === '' && (value !== undefined || !body.length)) return success();
    if (answer.includes('/') && type.toLowerCase().startsWith(answer))
      return success(new TextDecoder().decode(body));
  }
  if (status < 400 || !isDocument || !isProblem(value, status))
    throw new UnexpectedAnswer(status, headers, body);
  const problem = value as unknown as Problem;
  // An earlier try, whose answer was lost, has deleted it.
  if (lost && method === 'DELETE' && status === 404) return success();
  throw refusal(problem, headers);
}

function isProblem(value: Record<string, unknown>, answered: number): boolean {
  const { code, status, errors = [] } = value;
  return typeof code === 'string' && status === answered && Array.isArray(errors) && errors.every(isObject);
}

/** Whether one can go on with it: an object of a gateway would take the place of the session. */
function hasTokens({ access_token, expires_in }: Record<string, unknown>): boolean {
  return typeof access_token === 'string' && typeof (expires_in ?? 0) === 'number';
}

/** A token that a header can have; fetch would print any other. */
export function sound(token: string | undefined): string | undefined {
  const trimmed = token?.trim();
  if (!/^[!-~]*$/.test(trimmed ?? '')) throw new TypeError('a token has characters that no token has');
  return trimmed;
}

/** A key that no other request has. */
export function newKey(): string {
  // Pages that came over plain HTTP have no randomUUID.
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function refusal(problem: Problem, headers: AnswerHeaders): ApiError {
  const name = problem.code.replace(/(?:^|-)(.)/g, (_, letter: string) => letter.toUpperCase());
  const Class = Object.hasOwn(problems, name) ? problems[name] : undefined;
  if (!Class) return new ApiError(problem, headers);
  const error = new Class(problem, headers);
  hide(error, { name }); // minified classes have lost it
  return error;
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

function queried(query: object): string {
  const entries = query instanceof URLSearchParams ? [...query] : Object.entries(query);
  const pairs = entries.flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((item) => item !== undefined && item !== null)
      .map((item) => [name, item instanceof Date ? item.toISOString() : String(item)]),
  );
  return pairs.length ? `?${new URLSearchParams(pairs)}` : '';
}

/** @internal */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
