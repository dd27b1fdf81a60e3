"""HTTP/1.1 by httptools, with a bound on what it holds of one request's head."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""A request line and headers that are longer end the connection with 400."""
TOO_LONG = "The request line and headers are too long."


class BoundedHttpProtocol(HttpToolsProtocol):
    """httptools, unlike h11, keeps whatever comes until a head is whole."""

    _head_bytes: int | None = 0
    """So much has come of a head that is not whole; None inside of a body."""

    def data_received(self, data: bytes) -> None:
        """What the connection brings."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.logger.warning(TOO_LONG)
            self.send_400_response(TOO_LONG)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is another head."""
        self._head_bytes = 0
        super().on_message_complete()
