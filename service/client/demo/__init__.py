"""The demo: start a service, enrol a small fleet, match SAR chips, draw a contact sheet."""
