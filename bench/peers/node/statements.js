// The SQL of the peers on Node.js.

// Of a session that has not ended, and its user.
export const LIVE = `
SELECT users.id, email, email_verified, username, bio, role, disabled, users.created_at,
    users.updated_at
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = $1 AND sessions.user_id = $2 AND sessions.expires_at > now() AND NOT disabled`;

const POSTS = `
SELECT posts.id, title, content, author_id, username, posts.created_at, posts.updated_at
FROM posts JOIN users ON users.id = posts.author_id`;

export const GET = `${POSTS} WHERE posts.id = $1`;
export const LIST = `${POSTS} ORDER BY posts.id DESC LIMIT $1`;
export const LIST_AFTER = `${POSTS} WHERE posts.id < $2 ORDER BY posts.id DESC LIMIT $1`;

export const INSERT = `
INSERT INTO posts (id, author_id, title, content, version, created_at, updated_at)
VALUES (uuidv7(), $1, $2, $3, 1, now(), now()) RETURNING id, title, content, created_at, updated_at`;

// A row of GET or LIST as the Post of the specification.
export function post({ author_id, username, ...rest }) {
  return { ...rest, author: { id: author_id, username } };
}
