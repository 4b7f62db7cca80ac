"""Who may call the service: keys, roles, the caller, idempotency keys."""
