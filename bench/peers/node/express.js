// Express with express-openapi-validator, as their documentation has it.

import express from 'express';
import * as OpenApiValidator from 'express-openapi-validator';
import { createLocalJWKSet, jwtVerify } from 'jose';
import pg from 'pg';

import { audience, clustered, issuer, keySet, pool, port, specification } from './settings.js';
import { GET, INSERT, LIST, LIST_AFTER, LIVE, post } from './statements.js';

const database = new pg.Pool(pool);
const keys = createLocalJWKSet(keySet);
const app = express();

async function bearer(request) {
  const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
  const { payload } = await jwtVerify(token, keys, { issuer, audience });
  const { rows } = await database.query(LIVE, [payload.sid, payload.sub]);
  request.user = rows[0];
  return rows.length === 1;
}

app.use(express.json());
app.use(
  OpenApiValidator.middleware({
    apiSpec: specification,
    validateRequests: true,
    validateResponses: true,
    validateSecurity: { handlers: { bearer } },
  }),
);

app.get('/auth/me', (request, response) => {
  response.json(request.user);
});

app.get('/api/posts', async (request, response) => {
  const { limit, after } = request.query;
  const { rows } = after
    ? await database.query(LIST_AFTER, [limit, after])
    : await database.query(LIST, [limit]);
  response.json(rows.map(post));
});

app.post('/api/posts', async (request, response) => {
  const { title, content } = request.body;
  const { id, username } = request.user;
  const { rows } = await database.query(INSERT, [id, title, content]);
  response.status(201).json({ ...rows[0], author: { id, username } });
});

app.get('/api/posts/:post_id', async (request, response) => {
  const { rows } = await database.query(GET, [request.params.post_id]);
  if (rows.length === 0) {
    response.status(404).json({ message: 'Post not found' });
    return;
  }
  response.json(post(rows[0]));
});

app.use((error, _request, response, _next) => {
  response
    .status(error.status ?? 500)
    .json({ message: error.message, errors: error.errors });
});

await clustered(() => app.listen(port, '127.0.0.1'));
