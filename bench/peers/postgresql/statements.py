"""The SQL of the peers without an ORM."""

from __future__ import annotations

# Of a session that has not ended, and its user.
LIVE = """
SELECT users.id, email, email_verified, username, bio, role, disabled, users.created_at,
    users.updated_at
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = $1 AND sessions.user_id = $2 AND sessions.expires_at > now() AND NOT disabled
"""
_POSTS = """
SELECT posts.id, title, content, author_id, username, posts.created_at, posts.updated_at
FROM posts JOIN users ON users.id = posts.author_id
"""
GET = f"{_POSTS} WHERE posts.id = $1"
LIST = f"{_POSTS} ORDER BY posts.id DESC LIMIT $1"
LIST_AFTER = f"{_POSTS} WHERE posts.id < $2 ORDER BY posts.id DESC LIMIT $1"
INSERT = """
INSERT INTO posts (id, author_id, title, content, version, created_at, updated_at)
VALUES (uuidv7(), $1, $2, $3, 1, now(), now()) RETURNING id, title, content, created_at, updated_at
"""
