"""The HTTP interface: routes, middleware, request and response bodies, errors."""
