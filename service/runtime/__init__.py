"""Threads and contexts of requests."""
