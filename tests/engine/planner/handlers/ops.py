"""Operations of the tag ops."""

from flask import current_app

from service.engine.http import docs, health
from service.engine.spec.publication import Deployment
from tests.engine.planner.settings import Settings


async def get_openapi_json():
    document = Settings.specification.public_json(Deployment.of(current_app.config))
    return document, 200, docs.document_headers(document)


async def get_liveness():
    return {"status": "ok"}


async def get_readiness():
    return health.readiness()


def get_metrics():
    return health.metrics_text()
