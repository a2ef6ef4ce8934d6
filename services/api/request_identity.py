"""Owns which request it is: by the client's `Idempotency-Key` where it sent one, by all that it asks otherwise."""

import hashlib
from dataclasses import dataclass
from uuid import UUID, uuid5

from services.api.errors import InvalidRequestError

MAX_KEY_CHARACTERS = 255
KEY_REUSED = "this Idempotency-Key was used for another request"
_NAMESPACE = UUID("d8a3c5be-6a0d-5f0c-9b0e-3a4f7d1c2e55")


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """`command_id` follows from org and key; None where a fresh one is drawn."""

    name: str
    digest: str
    command_id: str | None

    @classmethod
    def of(cls, org_id: str, method: str, path: str, body_hash: str, idempotency_key: str | None) -> "RequestIdentity":
        """Raises `InvalidRequestError` where the key is empty, too long or not of visible ASCII characters and spaces."""
        digest = hashlib.sha256("\n".join((org_id, method, path, body_hash)).encode()).hexdigest()
        if idempotency_key is None:
            return cls(digest, digest, None)
        if not (0 < len(idempotency_key) <= MAX_KEY_CHARACTERS and idempotency_key.isascii() and idempotency_key.isprintable()):
            raise InvalidRequestError(f"Idempotency-Key must be 1 to {MAX_KEY_CHARACTERS} visible ASCII characters")
        command_id = str(uuid5(_NAMESPACE, f"{org_id}\n{idempotency_key}"))
        return cls(f"key:{command_id}", digest, command_id)
