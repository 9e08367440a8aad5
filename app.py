"""The ASGI application, for `uvicorn app:app`."""

from service.asgi import app

__all__ = ["app"]
