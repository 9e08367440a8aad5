import { UnexpectedAnswer } from './errors.js';
import type { RawAnswer } from './client.js';

/** All items of a list, asked for page by page as they are needed; each loop starts anew. */
export class Pages<Item> implements AsyncIterable<Item> {
  /** @internal */
  constructor(private readonly page: (next?: URLSearchParams) => Promise<RawAnswer<Item[]>>) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) yield* page;
  }

  async toArray(): Promise<Item[]> {
    const items: Item[] = [];
    for await (const item of this) items.push(item);
    return items;
  }

  /** The items, a page at a time; `limit` is the size of a page. */
  async *pages(): AsyncGenerator<Item[], void, undefined> {
    let next: URLSearchParams | undefined;
    do {
      const { data, status, headers } = await this.page(next);
      yield data;
      const after = following(headers.get('Link'));
      // A page that comes after itself would never end.
      if (after && `${after}` === `${next}`)
        throw new UnexpectedAnswer(status, headers, new Uint8Array());
      next = after;
    } while (next);
  }
}

/** The query of the next page: only that, for the path may have got a prefix from a proxy. */
function following(link: string | null): URLSearchParams | undefined {
  for (const [, target = '', about = ''] of (link ?? '').matchAll(/<([^<>]*)>((?:"[^"]*"|[^",])*)/g))
    if (/;\s*rel="?next\b/i.test(about)) return new URLSearchParams(target.split('?')[1] ?? '');
  return undefined;
}

/** The lines of a streamed answer, each a JSON value; each loop asks for it anew. */
export class Lines<Line> implements AsyncIterable<Line> {
  /** @internal */
  constructor(private readonly open: () => Promise<RawAnswer<AsyncIterable<Uint8Array>>>) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Line, void, undefined> {
    const { data, status, headers } = await this.open();
    const parsed = (line: string): Line => {
      try {
        return JSON.parse(line);
      } catch {
        throw new UnexpectedAnswer(status, headers, new TextEncoder().encode(line));
      }
    };
    const decoder = new TextDecoder();
    let pieces: string[] = []; // of a line, joined once: it may be long
    const joined = () => pieces.join('').trim();
    for await (const piece of data) {
      const [end = '', ...begun] = decoder.decode(piece, { stream: true }).split('\n');
      pieces.push(end);
      for (const next of begun) {
        const line = joined();
        pieces = [next];
        if (line) yield parsed(line);
      }
    }
    pieces.push(decoder.decode());
    const last = joined();
    if (last) yield parsed(last);
  }

  /** The same as bytes as they come, to write into a file. */
  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* (await this.open()).data;
  }
}
