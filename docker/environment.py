"""Settings as another process would read them."""

from collections.abc import Mapping
from typing import TypeVar

from schemas.settings import EnvironmentSettings

SettingsType = TypeVar("SettingsType", bound=EnvironmentSettings)


def settings_from(settings: type[SettingsType], environment: Mapping[str, str]) -> SettingsType:
    """What a process with this environment would get; raises pydantic's ValidationError as there."""
    names = [name for name in settings.model_fields if environment.get(name.upper())]
    return settings.model_validate({name: environment[name.upper()] for name in names})
