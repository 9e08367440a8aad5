// What a program needs of the TypeScript client, in twenty lines (test_typescript_program.py runs them).
//
// Arguments: the address of a service, an email address and a password, an author, and a post.

import { Byline } from 'byline-client';

const [url = '', email = '', password = '', author_id = '', shared = ''] = process.argv.slice(2);
const byline = new Byline(url);
await byline.signIn(email, password);
let count = 0;
for await (const _ of byline.posts.list({ author_id, limit: 100 })) count++;
console.log(count, 'posts of the author');
const post = await byline.posts.create({ title: 'In the Café', content: 'Two coffees.' });
const changed = await byline.posts.change(shared, ({ title }) => ({ title: `${title}, and this` }));
console.log(changed.title);
let [size, written] = [0, 0];
for await (const line of byline.auth.export()) {
  if (line.type !== 'post') continue;
  size += line.content.length;
  if (line.title === post.title) written++;
}
console.log(written, 'post written,', size, 'characters');
