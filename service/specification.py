"""What the service promises: `openapi/openapi.yaml`."""

from service.engine.spec.specification import Specification
from service.places import OPENAPI

specification = Specification(OPENAPI)
