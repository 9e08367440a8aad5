"""Users, posts and auth, on an engine for services that begin with their specification."""
