// Fastify with fastify-openapi-glue, as their documentation has it.

import { createPublicKey } from 'node:crypto';

import fastifyJwt from '@fastify/jwt';
import fastifyPostgres from '@fastify/postgres';
import Fastify from 'fastify';
import openapiGlue from 'fastify-openapi-glue';

import { audience, clustered, issuer, keySet, pool, port, specification } from './settings.js';
import { GET, INSERT, LIST, LIST_AFTER, LIVE, post } from './statements.js';

const fastify = Fastify();
const key = keySet.keys[0];

class Security {
  async bearer(request) {
    const claims = await request.jwtVerify();
    const { rows } = await fastify.pg.query(LIVE, [claims.sid, claims.sub]);
    if (rows.length === 0) {
      throw new Error('The session has ended');
    }
    request.user = rows[0];
  }
}

class Service {
  async get_me(request) {
    return request.user;
  }

  async list_posts(request) {
    const { limit, after } = request.query;
    const { rows } = after
      ? await fastify.pg.query(LIST_AFTER, [limit, after])
      : await fastify.pg.query(LIST, [limit]);
    return rows.map(post);
  }

  async create_post(request, reply) {
    const { title, content } = request.body;
    const { id, username } = request.user;
    const { rows } = await fastify.pg.query(INSERT, [id, title, content]);
    reply.code(201);
    return { ...rows[0], author: { id, username } };
  }

  async get_post(request, reply) {
    const { rows } = await fastify.pg.query(GET, [request.params.post_id]);
    if (rows.length === 0) {
      return reply.code(404).send({ message: 'Post not found' });
    }
    return post(rows[0]);
  }
}

fastify.register(fastifyPostgres, pool);
fastify.register(fastifyJwt, {
  secret: { public: createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) },
  verify: { algorithms: [key.alg], allowedIss: issuer, allowedAud: audience },
});
fastify.register(openapiGlue, {
  specification,
  serviceHandlers: new Service(),
  securityHandlers: new Security(),
});

await clustered(() => fastify.listen({ port, host: '127.0.0.1' }));
