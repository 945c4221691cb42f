"""A process's settings: `KELP_…` variables, each secret also from a file (`KELP_…_FILE`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from kelp.errors import InvalidRequest

PREFIX = "KELP_"


class SettingsError(InvalidRequest):
    """A setting that cannot be used: names the variable and what was expected."""

    default_code = "invalid_setting"


class _FileVariables(PydanticBaseSettingsSource):
    """`KELP_NAME_FILE=/path` stands for `KELP_NAME=<its content>`, so that a secret need not be in the environment."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            raise SettingsError(f"{PREFIX}{field_name.upper()}_FILE: {path}: {error.strerror}") from None

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


class ProcessSettings(BaseSettings):
    """Base of every process's settings. Arguments win over variables, variables over files."""

    # An empty variable is one that is not set: it must not hide a secret that comes from a file.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileVariables(settings_cls)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings of this process. SettingsError names each variable that is wrong, never its value."""
        try:
            return cls(**given)
        except ValidationError as error:
            raise SettingsError("\n".join(_faults(error))) from None


def _faults(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        name = "_".join(str(part) for part in fault["loc"]).upper()  # empty: of several together, named in the message
        lines.append((f"{PREFIX}{name}: " if name else "") + fault["msg"].removeprefix("Value error, "))
    return lines
