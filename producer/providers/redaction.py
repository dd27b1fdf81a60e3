"""What a provider sends back of what we sent it: no key of ours gets anywhere by that."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, quote_plus

from producer.providers.contract import Parsed


class Redaction:
    """Replaces secrets by ``***``: as they are, as an address has them, and as JSON may have them."""

    def __init__(self, secrets: Sequence[str]) -> None:
        forms = {
            form
            for secret in secrets
            for form in (secret, quote_plus(secret), quote(secret, safe=""), secret.replace("/", "\\/"))
        }
        self._texts = sorted(filter(None, forms), key=len, reverse=True)
        self._bytes = [text.encode() for text in self._texts]

    def text(self, text: str) -> str:
        for secret in self._texts:
            text = text.replace(secret, "***")
        return text

    def parsed(self, parsed: Parsed) -> Parsed:
        """The same without secrets in what is rejected: that goes to the dead letters."""
        cleaned = [
            replace(rejected, payload=self.payload(rejected.payload), detail=self.text(rejected.detail))
            for rejected in parsed.rejected
        ]
        return replace(parsed, rejected=cleaned)

    def payload(self, payload: bytes) -> bytes:
        """A message without secrets."""
        for secret in self._bytes:
            payload = payload.replace(secret, b"***")
        return payload
