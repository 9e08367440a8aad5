"""The production path: PostgreSQL, Valkey, one worker and two, and no process pinned to a core."""
