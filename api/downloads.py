"""Files of any length, sent as they are read: a page from the storage, encoded, sent, and only then the next.

So a download holds a page or a row group in memory, whatever its length and however slow its client. What
fails before the first byte is an ordinary error; what fails later ends the connection before the end of the
body, which every client notices.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from operator import itemgetter

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.encoders import Column, CsvEncoder, Encoder, ParquetEncoder, Values
from api.errors import TooManyDownloads
from api.parameters import Format

PAGE_ROWS = 500
"""Rows read at a time: so many hold up the other requests of this process for some milliseconds at most."""
SEND_SECONDS = 30.0
"""A client that does not take a part within this has gone or never will."""
ENCODERS: dict[Format, Callable[[Sequence[Column]], Encoder]] = {
    "csv": CsvEncoder,
    "parquet": ParquetEncoder,
}
TYPES: dict[str, Format] = {
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
}
ROW_LIMIT = "X-Row-Limit"
"""Header of a file: with fewer rows it is whole; with as many, or more of the same time, it may go on before
the last one's time."""
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Pages = AsyncGenerator[list[Values], None]


def asked_format(named: Format | None, accept: str | None) -> Format:
    """The format that the parameter names, else the one that the header Accept likes best (RFC 9110, 12.5.1),
    else JSON. Of formats that it likes as well as each other, the one that it names first."""
    if named is not None:
        return named
    best: tuple[float, Format] = (0.0, "json")
    for part in (accept or "").split(","):
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        quality = _quality(parameters)
        if name in TYPES and quality > best[0]:
            best = quality, TYPES[name]
    return best[1]


def _quality(parameters: Sequence[str]) -> float:
    """How much a type is liked, 0 to 1: its ``q``, where it has one that is a number."""
    for parameter in parameters:
        if parameter.startswith("q="):
            with contextlib.suppress(ValueError):
                return float(parameter[2:])
    return 1.0


class Downloads:
    """Those under way; further ones than ``most`` are refused, so that they never take the storage from the
    requests for a page."""

    def __init__(self, most: int, most_rows: int) -> None:
        self._most = most
        self._most_rows = most_rows
        self._running = 0

    async def answer(  # noqa: PLR0913, PLR0917 -- what a file is made of
        self,
        name: str,
        file_format: Format,
        columns: Callable[[], Sequence[Column]],
        pages: Pages,
        time: int,
        limit: int | None,
    ) -> Response:
        """The file ``name`` with these pages, the newest ``limit`` rows of them. ``columns`` is asked once
        the first page is there; ``time`` is the place of the column by which rows may be tied where
        API_DOWNLOAD_ROWS cuts them.

        Raises TooManyDownloads, and what the first page raises.
        """
        if self._running >= self._most:
            raise TooManyDownloads(self._most)
        self._running += 1
        try:
            whole = cut(pages, limit) if limit is not None else cut(pages, self._most_rows, itemgetter(time))
            nothing: list[Values] = []
            first = await anext(whole, nothing)
            encoder = await asyncio.to_thread(ENCODERS[file_format], columns())
        except BaseException:
            self._running -= 1
            raise
        return _Download(encoder, first, whole, name, limit or self._most_rows, self._ended)

    def _ended(self) -> None:
        self._running -= 1


class _Download(StreamingResponse):
    """Sends the parts, each within SEND_SECONDS, and gives its place back, whatever happens."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a file is made of
        self,
        encoder: Encoder,
        first: list[Values],
        rest: Pages,
        name: str,
        most_rows: int,
        ended: Callable[[], None],
    ) -> None:
        parts = _encoded(encoder, first, rest)
        self._parts = parts
        self._ended = ended
        filename = f"{UNSAFE.sub('-', name)}.{encoder.suffix}"
        headers = {
            "Content-Disposition": f'attachment; filename="{filename}"',
            # Known before the first row is read, unlike whether there are more: who counts as many has to
            # ask for the rest.
            ROW_LIMIT: str(most_rows),
            "Cache-Control": "no-store",
            "Vary": "Accept",
        }
        super().__init__(parts, headers=headers, media_type=encoder.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._parts):
                await super().__call__(scope, receive, _in_time(send))
        finally:
            self._ended()


def _in_time(send: Send) -> Send:
    async def sending(message: Message) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await send(message)

    return sending


async def _encoded(encoder: Encoder, first: list[Values], rest: Pages) -> AsyncGenerator[bytes, None]:
    # On a thread: a row group takes tens of milliseconds, in which other requests are to be answered.
    async with aclosing(rest):
        if part := await asyncio.to_thread(encoder.add, first):
            yield part
        async for page in rest:
            if part := await asyncio.to_thread(encoder.add, page):
                yield part
        if part := await asyncio.to_thread(encoder.end):
            yield part


async def cut(
    pages: Pages, most: int, tie: Callable[[Values], object] | None = None
) -> AsyncGenerator[list[Values], None]:
    """The first ``most`` rows; and those after them that have the same ``tie``, so that whoever goes on
    before it misses none."""
    left = most
    last: object = None
    async with aclosing(pages):
        async for page in pages:
            if not page:
                continue
            if len(page) <= left:
                left -= len(page)
                last = tie(page[-1]) if tie else None
                yield page
                if not left and tie is None:
                    return
                continue
            kept = left
            if tie is not None:
                last = tie(page[left - 1]) if left else last
                while kept < len(page) and tie(page[kept]) == last:
                    kept += 1
            yield page[:kept]
            if kept < len(page):
                return
            left = 0
