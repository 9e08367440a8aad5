// Calls of the TypeScript client through a proxy with faults, in Node.js and in browsers; see
// storms.py. `api` is the client's module.

function kept(api, tokens, isKnown, store) {
  const lifetime = 900_000;
  const expires_at = Date.now() + (isKnown ? -60_000 : lifetime);
  const { access_token, refresh_token } = tokens;
  store.set({ access_token, refresh_token, expires_at, lifetime });
  return store;
}

function told(api, error) {
  if (error instanceof api.ApiError) return `ApiError ${error.code}`;
  if (error instanceof api.UnexpectedAnswer) return `UnexpectedAnswer ${error.status}`;
  const isOfFetch = error instanceof TypeError && /fetch|terminated|network/i.test(error.message);
  if (isOfFetch || error?.name === 'TimeoutError') return 'no answer';
  return `undocumented ${error?.name} ${error?.stack}`;
}

/** What each call has come to, in each round; what was heard; whether there are tokens in the end. */
export async function burst(api, { url, tokens, calls, rounds, isKnown }, store) {
  if (tokens) kept(api, tokens, isKnown, store);
  const changes = [];
  const client = new api.Byline(url, { store, onAuthChange: (change) => changes.push(change) });
  const results = [];
  for (let round = 0; round < rounds; round++) {
    const whose = () => client.auth.getMe().then(({ id }) => id, (error) => told(api, error));
    results.push(await Promise.all(Array.from({ length: calls }, whose)));
  }
  await new Promise((heard) => setTimeout(heard));
  return [results, changes, Boolean(await store.get())];
}

/** What each action has come to, and after how many seconds; the plans run at the same time. */
export function storm(api, { url, tokens, plans }, store) {
  if (tokens) kept(api, tokens, false, store);
  const client = new api.Byline(url, { store, timeout: 2_000 }); // for answers that never come
  return Promise.all(plans.map((plan) => worked(api, client, plan)));
}

async function worked(api, client, plan) {
  const made = new Map();
  const outcomes = [];
  for (const { do: what, title, content, author } of plan) {
    const post = made.get(title);
    const start = performance.now();
    let outcome;
    try {
      const seen = new Set();
      let listed = 0;
      if (what === 'read') await client.auth.getMe();
      else if (what === 'export') for await (const line of client.auth.export()) seen.add(line);
      else if (what === 'list')
        for await (const { id } of client.posts.list({ author_id: author, limit: 40 })) {
          seen.add(id);
          listed++;
        }
      else if (what === 'create') made.set(title, await client.posts.create({ title, content }));
      else if (post && what === 'update') made.set(title, await client.posts.update(post, { content }));
      else if (post) await client.posts.delete(post.id);
      outcome = title && !made.has(title) ? 'skipped' : 'done';
      if (listed > seen.size) outcome = 'doubled';
    } catch (error) {
      outcome = told(api, error);
    }
    outcomes.push([outcome, (performance.now() - start) / 1000]);
  }
  return outcomes;
}
