"""The planner: `python -m tests.engine.planner.app` migrates its database and serves it."""

from __future__ import annotations

from functools import partial

from service.engine.database import migrations
from service.engine.database.transaction import db
from service.engine.serve import server
from tests.engine.planner.application import create_app, create_flask
from tests.engine.planner.settings import Settings


def main() -> None:
    settings = Settings.load()
    with create_flask(settings).app_context():
        migrations.upgrade(db.engine)
        assert migrations.check(db.engine) == []
    program = server.Program(f"{__package__}.app:app", partial(create_flask, settings))
    server.run(settings, program)


if __name__ == "__main__":
    main()
else:
    app = create_app(Settings.load())
