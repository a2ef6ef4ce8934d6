"""Owns how the configured providers become lines."""

import random
from collections.abc import Callable

import aiohttp

from services.dialer.claims import Claim
from services.dialer.lines import Line, Lines, new_line
from services.dialer.provider import CallProvider
from services.dialer.settings import DialerSettings
from services.dialer.twilio_provider import TwilioProvider
from services.dialer.vapi_provider import VapiCompatibleProvider
from services.runtime.callback_urls import callback_url, twilio_callback_url
from services.runtime.clock import Clock
from services.runtime.provider_choice import ProviderConfig, TwilioConfig


def build_lines(settings: DialerSettings, clock: Clock, new_session: Callable[[], aiohttp.ClientSession]) -> Lines:
    """A line for each provider, with a session of its own; raises `StartupError` where the configuration is wrong."""
    choice, own_name = settings.provider_choice(), settings.provider_name
    choice.known_with(own_name)

    def line(provider: CallProvider, calls_per_second: float | None) -> Line:
        return new_line(provider, clock, random.random, settings.dialer_max_in_flight, calls_per_second)

    own = _vapi(settings, new_session(), own_name, settings.provider_base_url(), settings.provider_key, can_find=settings.provider_can_find)
    lines = [line(own, settings.provider_calls_per_second)]
    for name, config in choice.providers.items():
        lines.append(line(_provider(settings, new_session(), name, config), config.calls_per_second))
    return Lines(lines, lambda task: choice.name_for(task.org_id, task.phone_number_id, own_name))


def _provider(settings: DialerSettings, http: aiohttp.ClientSession, name: str, config: ProviderConfig) -> CallProvider:
    if isinstance(config, TwilioConfig):
        timeout, connect = settings.provider_timeout_seconds, settings.provider_connect_seconds
        return TwilioProvider(http, config, name=name, timeout_seconds=timeout, connect_seconds=connect)
    return _vapi(settings, http, name, config.url, config.key.get_secret_value(), can_find=config.can_find)


def _vapi(
    settings: DialerSettings, http: aiohttp.ClientSession, name: str, url: str, key: str, *, can_find: bool
) -> VapiCompatibleProvider:
    return VapiCompatibleProvider(
        http,
        url,
        key,
        name=name,
        can_find=can_find,
        timeout_seconds=settings.provider_timeout_seconds,
        connect_seconds=settings.provider_connect_seconds,
    )


def callback_urls(settings: DialerSettings) -> Callable[[Claim], str]:
    """Gives the URL that the claim's provider calls back, of the kind that it signs."""
    base, key = settings.callback_base(), settings.callback_key()
    twilio = settings.provider_choice().twilio_tokens().keys()

    def url_of(claim: Claim) -> str:
        task = claim.task
        if claim.provider in twilio:
            return twilio_callback_url(base, key, claim.provider, task.org_id, task.campaign_id, task.call_id, claim.attempt)
        return callback_url(base, key, task.org_id, task.campaign_id, task.call_id, claim.attempt)

    return url_of
