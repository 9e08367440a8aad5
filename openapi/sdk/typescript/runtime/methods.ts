import type { Caller } from './caller.js';
import type { CallOptions, RawAnswer } from './client.js';
import { PreconditionFailed } from './errors.js';
import { Lines, Pages } from './lists.js';
import { arranged, type Input, isObject, type Operation, pathOf } from './messages.js';
import { pause } from './transfer.js';

type Given = readonly unknown[];

// The ETag with which each object was read, and the path of what it is the tag of.
const tags = new WeakMap<object, { tag: string; path: string }>();
const STALE = '"stale"';
const CHANGES_BEFORE_GIVING_UP = 20;
const PAUSE_SECONDS = 0.1; // at most, times the number of tries, so that rivals get out of step

/**
 * The methods of a client. They are given values of the path, body, query and options; what they
 * read remembers its ETag, and what they change sends it.
 * @internal
 */
export class Methods {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** The methods by their tags. */
  byTag(): Record<string, Record<string, (...given: Given) => unknown>> {
    const found: ReturnType<Methods['byTag']> = {};
    for (const operation of this.#caller.operations) {
      const [tag = '', verb = ''] = operation.name.split('.');
      const methods = (found[tag] ??= {});
      methods[verb] = (...given) => this.run(operation, given);
      if (operation.features.includes('m') && operation.features.includes('d'))
        methods[verb.replace(/^[a-z]+/, 'change')] = (...given) => this.#change(operation, given);
    }
    return found;
  }

  run(operation: Operation, given: Given): unknown {
    const input = arranged(operation, given);
    if (operation.features.includes('p'))
      return new Pages((next) => {
        const query = next ?? input.query;
        return this.#caller.answer(operation, { ...input, query }) as Promise<RawAnswer<unknown[]>>;
      });
    if (operation.answer === 'lines')
      return new Lines(
        () => this.#caller.answer(operation, input) as Promise<RawAnswer<AsyncIterable<Uint8Array>>>,
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
      await pause(Math.random() * PAUSE_SECONDS * tries, options.signal);
    }
  }

  async #remembered(operation: Operation, input: Input): Promise<unknown> {
    const options = { ...input.options };
    const seen = input.of.at(-1);
    if (operation.features.includes('m')) options.ifMatch ??= await this.#tag(operation, input);
    if (operation.features.includes('o')) options.ifMatch ??= tagAt(pathOf(operation, input), seen);
    try {
      const { data, headers } = await this.#caller.answer(operation, { ...input, options });
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
    const reader = this.#caller.operations.find((one) => one.method === 'GET' && one.path === path);
    if (!reader) throw new TypeError(`${name} needs ifMatch: nothing reads ${path}`);
    const input = { of, body: undefined, query: undefined, options: { signal, timeout } };
    return (await this.#remembered(reader, input)) as Record<string, unknown>;
  }
}

function tagAt(path: string, seen: unknown): string | undefined {
  const known = isObject(seen) ? tags.get(seen) : undefined;
  return known?.path.endsWith(path) ? known.tag : undefined; // a proxy may have added a prefix
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
