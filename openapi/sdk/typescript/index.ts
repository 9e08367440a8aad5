export * from './generated/index.js';
export { createClient } from './generated/client/index.js';
export type { Auth, Client, Config, Options } from './generated/client/index.js';
