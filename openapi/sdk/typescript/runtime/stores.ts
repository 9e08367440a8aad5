import { product } from './operations.js';

/** The tokens of a session, as stores keep them. */
export interface SessionTokens {
  access_token: string;
  /** Absent when the browser keeps it in a cookie. */
  refresh_token?: string;
  /** When the access token expires, in milliseconds since 1970. */
  expires_at: number;
  /** How long it was valid when it came, in milliseconds. */
  lifetime: number;
  /** Whose tokens they are; no other service is sent them. */
  service?: string;
}

/** Where a session is kept; clients with the same store share it. */
export interface SessionStore {
  get(): SessionTokens | undefined | Promise<SessionTokens | undefined>;
  set(tokens: SessionTokens | undefined): void | Promise<void>;
  /** Calls back when another tab or process has changed it; returns what ends that. */
  subscribe?(changed: () => void): () => void;
}

/** Keeps a session until the program ends; the default. */
export function memoryStore(): SessionStore {
  let kept: SessionTokens | undefined;
  return { get: () => kept, set: (tokens) => void (kept = tokens) };
}

/**
 * Keeps a session over reloads and for all tabs, where every script of the page can read it. Where
 * the browser refuses storage or has none left, it is kept until the page is left.
 */
export function localStorageStore(key = `${product.name}-session`): SessionStore {
  const memory = memoryStore();
  // A server has no such storage at all, and must not keep one session for all its users.
  const kept = (error: unknown) => {
    if (error instanceof ReferenceError) throw error;
    return memory.get();
  };
  return {
    get() {
      try {
        const text = localStorage.getItem(key);
        return memory.get() ?? (text ? JSON.parse(text) : undefined);
      } catch (error) {
        return kept(error); // refused, or something else wrote it
      }
    },
    set(tokens) {
      memory.set(undefined);
      try {
        if (tokens) localStorage.setItem(key, JSON.stringify(tokens));
        else localStorage.removeItem(key);
      } catch (error) {
        kept(error);
        memory.set(tokens);
      }
    },
    subscribe(changed) {
      const heard = (event: StorageEvent) => {
        if (event.key === key || event.key === null) changed();
      };
      globalThis.addEventListener?.('storage', heard); // Node.js has none
      return () => globalThis.removeEventListener?.('storage', heard);
    },
  };
}

const tabs = new Map<string, SessionStore>();

/**
 * Keeps access tokens in memory for all clients and tabs, since they have the same cookie.
 * @internal
 */
export function tabsStore(name: string): SessionStore {
  const memory = memoryStore();
  // Servers have the channel as well, but no tabs: there, it would be for all users.
  if (typeof BroadcastChannel === 'undefined' || typeof location === 'undefined') return memory;
  const known = tabs.get(name);
  if (known) return known;
  const channel = new BroadcastChannel(name);
  const listeners = new Set<() => void>();
  const keep = (tokens: SessionTokens | undefined) => {
    memory.set(tokens);
    for (const changed of listeners) changed();
  };
  channel.addEventListener('message', ({ data }) => keep(data));
  const store: SessionStore = {
    get: memory.get,
    set(tokens) {
      keep(tokens);
      channel.postMessage(tokens);
    },
    subscribe(changed) {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
  };
  tabs.set(name, store);
  return store;
}
