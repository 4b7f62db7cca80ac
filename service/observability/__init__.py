"""Metrics, logs, traces, drift of similarities, and messages to the webhook."""
