"""The code samples in the published document."""

from __future__ import annotations

import orjson

from service.engine.spec.publication import Deployment
from service.specification import specification


def samples(label: str, address: str = "") -> dict[str, str]:
    """Those of one language, by operationId, for a service at an address."""
    document = orjson.loads(specification.public_json(Deployment(address=address)))
    return {
        operation["operationId"]: sample["source"]
        for item in document["paths"].values()
        for operation in item.values()
        for sample in operation["x-codeSamples"]
        if sample["label"] == label
    }
