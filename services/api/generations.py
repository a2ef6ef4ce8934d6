"""Owns how the two generations of the resource differ in what they take; what both share is the models of `events`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from events.campaigns import CampaignCopy, CampaignDraft, CampaignEdit, CampaignHead
from events.commands import ArchiveCampaign, CommandData, DeleteCampaign, UpdateCampaign
from events.validation import messages_of
from events.wire import AnyWire
from services.api.bodies import TOO_DEEP
from services.api.errors import InvalidRequestError

COPIED_FROM = "duplicateFromCampaignId"


@dataclass(frozen=True, slots=True)
class Generation:
    """V1 `/campaign` or V2 `/v2/campaign` (contract, the table at its top)."""

    prefix: str
    stopped_status: Literal["ended", "cancelled"]
    remove: Callable[[], CommandData]
    removal_completes: str
    """The type of the event that ends the removal's decision."""
    removed_status: str
    refused_fields: tuple[str, ...]
    summarises: bool
    """Whether GET answers a summary instead of the whole campaign."""
    copies: bool
    """Whether `POST` copies another campaign where `duplicateFromCampaignId` asks for it."""

    def draft(self, value: Any) -> CampaignDraft:
        """What `POST` takes; raises `InvalidRequestError` with one message for each broken rule."""
        return self._validated(CampaignDraft, value)

    def head(self, value: Any) -> CampaignHead:
        """What comes beside an upload of contacts; raises `InvalidRequestError` with one message for each broken rule."""
        return self._validated(CampaignHead, value)

    def copy(self, value: Any) -> CampaignCopy | None:
        """What `POST` takes to copy a campaign; None where that is not asked for. Raises as `draft` does."""
        if not self.copies or not isinstance(value, Mapping) or value.get(COPIED_FROM) is None:
            return None
        return self._validated(CampaignCopy, value)

    def edit(self, value: Any) -> UpdateCampaign:
        """What `PATCH` takes, as the command; raises `InvalidRequestError` with one message for each broken rule."""
        edit = self._validated(CampaignEdit, value)
        given: dict[str, Any] = {field: getattr(edit, field) for field in edit.model_fields_set}
        if given.get("status") is not None:
            given["status"] = self.stopped_status
        return UpdateCampaign.model_construct(**given)

    def _validated(self, model: type[AnyWire], value: Any) -> AnyWire:
        refused = []
        if isinstance(value, Mapping):
            refused = [field for field in self.refused_fields if value.get(field) is not None]
            value = {field: item for field, item in value.items() if field not in self.refused_fields}
        messages = [f"property {field} should not exist" for field in refused]
        try:
            validated = model.model_validate(value, by_alias=True, by_name=False)
        except ValidationError as error:
            raise InvalidRequestError([*messages, *messages_of(error)]) from error
        except (RecursionError, TypeError) as error:
            raise InvalidRequestError([*messages, TOO_DEEP]) from error
        if messages:
            raise InvalidRequestError(messages)
        return validated


V1 = Generation(
    prefix="/campaign",
    stopped_status="ended",
    remove=DeleteCampaign,
    removal_completes="CampaignDeleted.v1",
    removed_status="ended",
    refused_fields=(),
    summarises=False,
    copies=False,
)
V2 = Generation(
    prefix="/v2/campaign",
    stopped_status="cancelled",
    remove=ArchiveCampaign,
    removal_completes="CampaignArchived.v1",
    removed_status="archived",
    refused_fields=("workflowId", "dialPlan"),
    summarises=True,
    copies=True,
)
