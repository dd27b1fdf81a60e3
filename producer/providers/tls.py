"""Whom we believe to be who they say they are."""

import ssl

from producer.providers.settings import ProviderSettings
from schemas.errors import ConfigurationError


def trusted_certificates(settings: ProviderSettings) -> ssl.SSLContext:
    """The system's certificates, and those of PROVIDER_CA_FILE; raises ConfigurationError where that cannot
    be read."""
    trusted = ssl.create_default_context()
    if ca_file := settings.provider_ca_file:
        try:
            trusted.load_verify_locations(ca_file)
        except OSError as error:
            raise ConfigurationError(
                f"PROVIDER_CA_FILE {ca_file} cannot be read: {error.strerror}"
            ) from error
    return trusted
