"""Owns how ids follow from facts: a retry of the same command names the same campaign and the same calls."""

import re
from hashlib import sha1
from uuid import UUID, uuid5

_NAMESPACE = UUID("5b1f6f3e-0c53-5d8e-9a53-0d7f6e1a9b42")


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in the one form in which ids are written here."""
    return _UUID.fullmatch(text) is not None


def campaign_id_of(org_id: str, command_id: str) -> str:
    """The campaign's id: UUIDv5 of its org and the id of the command that creates it (design, "Commands and events")."""
    return str(uuid5(_NAMESPACE, f"{org_id}\n{command_id}"))


def call_id_of(campaign_id: str, position: int) -> str:
    """The call's id: UUIDv5 of its campaign and the contact's position, counted from 0."""
    # as `uuid.uuid5` makes it, without its objects: a campaign may have a million calls
    digits = sha1(bytes.fromhex(campaign_id.replace("-", "")) + str(position).encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
