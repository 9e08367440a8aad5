"""The settings of the planner: those of any service."""

from pathlib import Path

from service.engine.settings import EngineSettings
from service.engine.spec.specification import Specification


class Settings(EngineSettings):
    specification = Specification(Path(__file__).parent / "openapi" / "openapi.yaml")
