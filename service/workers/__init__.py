"""The decoder pool: processes that decode uploaded files within limits of time and memory."""
