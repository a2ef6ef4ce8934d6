"""Owns how Kafka's clients prove who they are and whom they trust: TLS and SASL, as the settings say."""

import ssl
from typing import Any

from services.runtime.errors import StartupError
from services.runtime.settings import Settings


def security_options(settings: Settings) -> dict[str, Any]:
    """What aiokafka is given beside the servers; raises `StartupError` where a certificate can not be read. Names of hosts are checked."""
    options: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = _context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password,
        }
    return options


def _context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=settings.kafka_ca_file)
        if settings.kafka_cert_file is not None:
            context.load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file)
        return context
    except (OSError, ValueError) as error:
        raise StartupError(
            f"wrong setting: KAFKA_CA_FILE, KAFKA_CERT_FILE and KAFKA_KEY_FILE must name PEM files: {type(error).__name__}"
        ) from error
