"""Users, posts and auth, on an engine for services that begin with their specification.

docs/where-to-change.md says which file decides about a limit, a column, an error or a restart.
"""
