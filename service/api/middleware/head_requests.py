"""Answer HEAD like GET, without the content (RFC 9110, 9.3.2)."""

from starlette.types import Message, Receive, Scope, Send

from service.api.middleware.base import HttpMiddleware


class HeadRequests(HttpMiddleware):
    """Passes HEAD to the routes as GET and drops the content of the response."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_content(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        get_scope = {**scope, "method": "GET"}
        try:
            await self._app(get_scope, receive, send_without_content)
        finally:
            # The outer middleware reads the route that was matched from its own scope.
            scope.update({**get_scope, "method": "HEAD"})
