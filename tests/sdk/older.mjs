// Uses a service that is newer than the client, and prints what it gets.
import { Byline } from 'byline-client';

const [url, email, password] = process.argv.slice(2);
const byline = new Byline(url);
const account = await byline.auth.register({ email, password });
await byline.signIn(email, password);
const posts = [];
for (const title of ['First', 'Second', 'Third'])
  posts.push(await byline.posts.create({ title, content: 'Warm.' }));
const titles = [];
for await (const post of byline.posts.list({ author_id: account.id, limit: 1 })) titles.push(post.title);
const { title: changed } = await byline.posts.update(posts[0], { title: 'Green tea' });
const actions = new Set();
for await (const event of byline.audit.list()) actions.add(event.action);
let newLines = 0;
for await (const line of byline.auth.export()) newLines += line.type === 'of-tomorrow';
const refused = await byline.posts.get(account.id).catch((error) => [error.name, error.code]);
const { role } = account;
const { of_tomorrow: field } = posts[0];
console.log(JSON.stringify({ role, field, titles, changed, actions: [...actions], newLines, refused }));
