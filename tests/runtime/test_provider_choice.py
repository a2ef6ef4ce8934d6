"""Which provider dials, and what is said at the start where the configuration is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.dialer.settings import DialerSettings
from services.engine.settings import EngineSettings
from services.runtime.errors import StartupError
from services.runtime.provider_choice import ProviderChoice, TwilioConfig, read_provider_choice

VAPI = {"kind": "vapi", "url": "https://api.vapi.ai", "key": "a-secret-key"}
TWILIO = {
    "kind": "twilio",
    "accountSid": "AC" + "0" * 32,
    "authToken": "a-secret-token",
    "url": "https://app.example.com/voice",
    "callers": {"pn-1": "+14155550100"},
}
RULES = [
    {"org": "acme", "phoneNumberId": "pn-1", "provider": "twilio"},
    {"org": "acme", "provider": "vapi"},
    {"phoneNumberId": "pn-2", "provider": "twilio"},
]


def choice(**changes: Any) -> ProviderChoice:
    return read_provider_choice(json.dumps({"providers": {"vapi": VAPI, "twilio": TWILIO}, "rules": RULES} | changes), None)


def test_the_most_exact_rule_chooses_and_otherwise_the_default() -> None:
    def chosen(org: str, phone_number_id: str | None, **changes: Any) -> str:
        return choice(**changes).name_for(org, phone_number_id, "simulator")

    assert chosen("acme", "pn-1") == "twilio"
    assert chosen("acme", "pn-2") == "twilio"
    assert chosen("acme", "pn-3") == "vapi"
    assert chosen("acme", None) == "vapi"
    assert chosen("other", "pn-1") == "simulator"
    assert chosen("other", "pn-2") == "twilio"
    assert chosen("other", None, default="vapi") == "vapi"


def test_without_any_everything_goes_to_the_one_of_provider_url() -> None:
    assert read_provider_choice("", None).name_for("acme", "pn-1", "simulator") == "simulator"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"providers": {"t": TWILIO | {"accountSid": "x"}}}, "providers.t.twilio.accountSid: String should match pattern"),
        ({"providers": {"t": TWILIO | {"callers": {"pn-1": "0815"}}}}, "providers.t.twilio.callers.pn-1: String should match pattern"),
        ({"providers": {"t": {**TWILIO, "authToken": {"env": "NOT_THERE"}}}}, "the environment variable NOT_THERE is not set"),
        ({"providers": {"t": {**TWILIO, "authToken": {"file": "/not/there"}}}}, "the file /not/there can not be read"),
        ({"providers": {"t": {**TWILIO, "authToken": {"vault": "x"}}}}, 'must be the secret, {"env": "NAME"} or {"file": "/path"}'),
        ({"providers": {"t": {**TWILIO, "authToken": ""}}}, "is empty"),
        ({"providers": {"t": {**VAPI, "keys": "x"}}}, "providers.t.vapi.keys: Extra inputs are not permitted"),
        ({"providers": {"t": {**VAPI, "kind": "sip"}}}, "providers.t: Input tag 'sip' found using 'kind' does not match"),
        ({"rules": [{"provider": "vapi"}]}, "must name an org or a phoneNumberId"),
        ({"rules": [RULES[1], RULES[1]]}, "two rules are for the org 'acme'"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right_and_no_secret(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(StartupError) as raised:
        choice(**changes)
    assert told in str(raised.value)
    assert "a-secret" not in str(raised.value)


@pytest.mark.parametrize("text", ["{", "[]", "x"])
def test_what_is_no_json_object_is_named(text: str) -> None:
    with pytest.raises(StartupError, match="wrong setting: PROVIDERS: "):
        read_provider_choice(text, None)


def test_a_rule_names_a_provider_that_there_is_under_a_name_of_its_own() -> None:
    choice().known_with("simulator")
    with pytest.raises(StartupError, match="no provider is named sip; there are simulator, twilio, vapi"):
        choice(default="sip").known_with("simulator")
    with pytest.raises(StartupError, match="the name vapi is that of PROVIDER_NAME already"):
        choice().known_with("vapi")


def test_secrets_come_from_the_environment_or_a_file_and_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "from-the-environment")
    (tmp_path / "token").write_text("from-a-file\n")
    for reference, secret in (({"env": "SOME_TOKEN"}, "from-the-environment"), ({"file": str(tmp_path / "token")}, "from-a-file")):
        read = choice(providers={"vapi": VAPI, "twilio": TWILIO | {"authToken": reference}})
        assert read.twilio_tokens() == {"twilio": secret}
        assert isinstance(read.providers["twilio"], TwilioConfig)
        assert secret not in repr(read)


def test_the_configuration_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "providers.json"
    file.write_text(json.dumps({"providers": {"vapi": VAPI}, "default": "vapi"}))
    assert DialerSettings(providers_file=file).provider_choice().default == "vapi"
    with pytest.raises(StartupError, match="not both"):
        read_provider_choice("{}", file)
    with pytest.raises(StartupError, match="PROVIDERS_FILE: can not be read: FileNotFoundError"):
        read_provider_choice("", tmp_path / "none.json")


def test_settings_do_not_show_the_configuration() -> None:
    assert "a-secret" not in repr(DialerSettings(providers=json.dumps({"providers": {"vapi": VAPI}})))


def test_the_wait_for_an_outcome_must_outlast_claim_and_request() -> None:
    DialerSettings.load(claim_valid_seconds=3, provider_timeout_seconds=1, dial_outcome_seconds=5)
    with pytest.raises(StartupError, match=r"DIAL_OUTCOME_SECONDS: .*must exceed CLAIM_VALID_SECONDS and .* together, which are 50"):
        DialerSettings.load(dial_outcome_seconds=50)


def test_no_call_may_talk_on_after_the_engine_gave_its_slot_to_another() -> None:
    def started(talk_seconds: int | None = None, **settings: Any) -> ProviderChoice:
        own = {} if talk_seconds is None else {"longestCallSeconds": talk_seconds}
        return DialerSettings.load(providers=json.dumps({"providers": {"us": TWILIO | own}}), **settings).provider_choice()

    started()
    started(3_545)
    started(86_400, longest_call_seconds=86_400, longest_call_grace_seconds=115)
    started(52, longest_call_seconds=61, claim_valid_seconds=3, provider_timeout_seconds=1)
    with pytest.raises(StartupError, match="longestCallSeconds of us must be at most 3545: LONGEST_CALL_SECONDS and"):
        started(3_546)
    with pytest.raises(StartupError, match="longestCallSeconds of us must be at most 485"):
        started(longest_call_seconds=540)


def test_dialer_and_engine_mean_the_same_longest_call() -> None:
    for name in ("longest_call_seconds", "longest_call_grace_seconds", "dial_outcome_seconds"):
        assert DialerSettings.model_fields[name].default == EngineSettings.model_fields[name].default
