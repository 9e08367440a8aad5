"""A second, small API on the engine: it has nothing of users, posts or mails."""
