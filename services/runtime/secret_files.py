"""Owns secrets that stand in files: those that the environment names, and those that are drawn once and kept."""

import os
import secrets
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from services.runtime.errors import StartupError


class SecretFiles(PydanticBaseSettingsSource):
    """For each field that is kept out of `repr`, what the file holds that the variable of its name with `_FILE` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Raises `StartupError`, which names the variable and nothing of the file."""
        variable = field_name.upper()
        path = os.environ.get(f"{variable}_FILE", "")
        if field.repr or not path or f"{field_name}_file" in self.settings_cls.model_fields:
            return None, field_name, False
        if os.environ.get(variable):
            raise StartupError(f"wrong setting: set {variable} or {variable}_FILE, not both")
        try:
            secret = Path(path).read_text().strip()
        except (OSError, ValueError) as error:
            raise StartupError(f"wrong setting: {variable}_FILE: can not be read: {type(error).__name__}") from error
        if not secret:
            raise StartupError(f"wrong setting: {variable}_FILE: is empty")
        return secret, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: secret for name, secret in found.items() if secret is not None}


def secret_file(path: Path) -> str:
    """The secret in the file; 256 random bits are written there, readable by the owner only, where it does not exist. Race-free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
