// What the benchmark tells the peers in the environment, and how many of them it wants.

import cluster from 'node:cluster';

export const specification = new URL('../openapi.yaml', import.meta.url).pathname;
export const port = Number(process.env.PORT);
export const keySet = JSON.parse(process.env.BENCH_KEY_SET);
export const issuer = 'byline';
export const audience = 'byline';
// As many connections for each worker as Byline has.
export const pool = { connectionString: process.env.BENCH_DATABASE, max: 16 };

// Calls `serve` in this process, or in as many workers as WORKERS says.
export async function clustered(serve) {
  const workers = Number(process.env.WORKERS ?? 1);
  if (workers === 1 || cluster.isWorker) {
    await serve();
    return;
  }
  for (let n = 0; n < workers; n += 1) {
    cluster.fork();
  }
}
