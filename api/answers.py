"""How long clients may keep an answer: entity tags, Cache-Control and 304.

Every answer with history has a strong ETag, a hash of its content, and may be asked for again with
``If-None-Match``. It is ``private``: who may read is decided for each caller, so no cache that several of
them share may answer in our place. A settled page (``BarReader.is_settled``) may be kept for an hour without
asking: only a replay or a rebuild of the same time changes it, and that shows within the hour. Everything
else has to be asked for each time.
"""

import hashlib
import re

from fastapi import Request, Response
from pydantic import BaseModel

SETTLED_SECONDS = 3600
SETTLED = f"private, max-age={SETTLED_SECONDS}"
UNSETTLED = "private, no-cache"
JSON = "application/json"
TAG = re.compile(r'(?:W/)?("[^"]*")')


def conditional(request: Request, content: BaseModel, *, settled: bool) -> Response:
    """The content as JSON, fields that were never set left out; 304 where the client has it already."""
    return conditional_body(request, content.model_dump_json(exclude_unset=True).encode(), settled=settled)


def conditional_body(request: Request, body: bytes, *, settled: bool) -> Response:
    """The same of JSON that is written already."""
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": SETTLED if settled else UNSETTLED, "Vary": "Accept"}
    if _has(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)


def _has(given: str | None, tag: str) -> bool:
    """Whether one of the tags of If-None-Match is this; compared weakly, as RFC 9110 asks for here."""
    return given is not None and (given.strip() == "*" or tag in TAG.findall(given))
