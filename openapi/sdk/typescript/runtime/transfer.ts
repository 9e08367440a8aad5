import { type AnswerHeaders, retryAfter } from './errors.js';

/** What `onExchange` is told of each request that was sent. It has no secrets in it. */
export interface Exchange {
  /** Its name, such as `posts.list`. */
  operation: string;
  method: string;
  /** Without the query. */
  url: string;
  /** 1 for the first try. */
  attempt: number;
  milliseconds: number;
  /** Of the answer; undefined if there was none. */
  status: number | undefined;
  /** The `X-Request-Id` of the answer. */
  requestId: string | undefined;
  /** Why there was no answer. */
  error: unknown;
}

/** What ends a call before it has an answer; an `AbortSignal`. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A function like `fetch`. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchAnswer>;

export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: string;
  credentials?: 'include';
  redirect: 'manual';
  signal: any; // an AbortSignal: without the DOM's types, a project has none
}

export interface FetchAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: any; // a ReadableStream, for the same reason
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** @internal */
export interface Received {
  status: number;
  headers: AnswerHeaders;
  body: Uint8Array;
  /** The rest of a streamed answer, if it is to be streamed. */
  stream?: AsyncGenerator<Uint8Array>;
}

/** @internal */
export interface Sending {
  operation: string;
  url: string;
  init: Omit<FetchInit, 'signal' | 'redirect'>;
  /** Whether it may be sent again: it changes nothing more if it arrives twice. */
  isRepeatable: boolean;
  /** Whether this status and type are an answer that is handed on piece by piece. */
  isStreamed(status: number, headers: AnswerHeaders): boolean;
  /** Whether another try may have another answer. */
  isTransient(answer: Received, retry: number): boolean;
  timeout: number;
  signal: Signal | undefined;
}

/** @internal */
export interface Line {
  fetch: Fetch;
  retries: number;
  onExchange: ((exchange: Exchange) => void) | undefined;
}

const LONGEST_WAIT_SECONDS = 60;
const FIRST_WAIT_SECONDS = 0.4;
const LONGEST_BACKOFF_SECONDS = 8;

/**
 * The answer to a request, after as many tries as it takes and is allowed. Raises what fetch does,
 * and a `TimeoutError`. `lost` tells that an earlier try may have arrived.
 * @internal
 */
export async function transfer(line: Line, sending: Sending): Promise<Received & { lost: boolean }> {
  for (let retry = 0, lost = false; ; retry++) {
    const isLast = !sending.isRepeatable || retry >= line.retries;
    let wait: number | undefined;
    try {
      const answer = await observed(line, sending, retry);
      wait = retryAfter(answer.headers);
      const isTransient = sending.isTransient(answer, retry);
      if (isLast || !isTransient || (wait ?? 0) > LONGEST_WAIT_SECONDS) return { ...answer, lost };
      // A gateway cannot tell what became of the request.
      lost ||= !/problem/i.test(answer.headers.get('Content-Type') ?? '');
    } catch (error) {
      if (isLast || sending.signal?.aborted) throw error;
      lost = true;
    }
    await pause((wait ?? 0) + backoff(retry), sending.signal);
  }
}

/** Full jitter, so that clients that failed together do not come back together. */
function backoff(retry: number): number {
  return Math.random() * Math.min(LONGEST_BACKOFF_SECONDS, FIRST_WAIT_SECONDS * 2 ** retry);
}

/** @internal */
export async function pause(seconds: number, signal?: Signal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await unlessAborted(signal, new Promise((over) => (timer = setTimeout(over, seconds * 1000))));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What the work comes to, or the reason of the signal as soon as it is aborted.
 * @internal
 */
export async function unlessAborted<T>(signal: Signal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function observed(line: Line, sending: Sending, retry: number): Promise<Received> {
  const { operation, init } = sending;
  const [url = ''] = sending.url.split('?');
  const start = performance.now();
  const tell = (status?: number, requestId?: string | null, error?: unknown) => {
    const exchange = {
      operation,
      method: init.method,
      url,
      attempt: retry + 1,
      milliseconds: performance.now() - start,
      status,
      requestId: requestId ?? undefined,
      error,
    };
    // Of its own accord: what a hook raises is not to be taken for a lost request, and sent again.
    queueMicrotask(() => line.onExchange?.(exchange));
  };
  let answer: Received;
  try {
    answer = await exchanged(line.fetch, sending);
  } catch (error) {
    tell(undefined, undefined, error);
    throw error;
  }
  tell(answer.status, answer.headers.get('X-Request-Id'));
  return answer;
}

type Patient = <T>(work: () => Promise<T>) => Promise<T>;

/** One request and its whole answer, or the beginning of one that is streamed. */
async function exchanged(fetch: Fetch, sending: Sending): Promise<Received> {
  const { url, init, timeout, signal, isStreamed } = sending;
  const control = new AbortController();
  const patient: Patient = (work) => within(timeout, control, signal, work());
  const request = { ...init, redirect: 'manual' as const, signal: control.signal };
  return patient(async () => {
    const answer = await fetch(url, request);
    const { status, headers } = answer;
    if (isStreamed(status, headers)) {
      const stream = pieces(answer.body.getReader(), patient);
      return { status, headers, body: new Uint8Array(), stream };
    }
    return { status, headers, body: new Uint8Array(await answer.arrayBuffer()) };
  });
}

/** The work, if it is done in time and nobody has given it up; otherwise the request is ended. */
async function within<T>(
  milliseconds: number,
  control: AbortController,
  signal: Signal | undefined,
  work: Promise<T>,
): Promise<T> {
  const late = () =>
    control.abort(new DOMException(`No answer within ${milliseconds} ms`, 'TimeoutError'));
  const timer = milliseconds < 2 ** 31 ? setTimeout(late, milliseconds) : undefined;
  try {
    return await unlessAborted(signal, unlessAborted(control.signal, work));
  } catch (error) {
    control.abort(error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The pieces of a body. A reader that is left before the end ends the request. */
async function* pieces(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  patient: Patient,
): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const { done, value } = await patient(() => reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
