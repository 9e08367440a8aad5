"""Operations of the tag ops."""

from service.engine.http import health


async def get_readiness():
    return health.readiness()


def get_metrics():
    return health.metrics_text()
