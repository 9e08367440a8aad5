"""The ASGI application of the settings in the environment."""

import sys

from service.application import create_app
from service.engine.http.telemetry import set_up_logging
from service.engine.settings import BadConfiguration
from service.settings import load
from service.specification import specification

try:
    settings = load()
    set_up_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
except BadConfiguration as error:
    print(f"{specification.name}: {error}", file=sys.stderr)  # noqa: T201 - the one line that a bad setting gets
    sys.exit(2)
