"""The ASGI application, for `uvicorn app:app`."""

import sys

from service import create_app
from service.settings import BadConfiguration, load

try:
    app = create_app(load())
except BadConfiguration as error:
    print(f"byline: {error}", file=sys.stderr)  # noqa: T201 - the one line that a bad setting gets
    sys.exit(2)
