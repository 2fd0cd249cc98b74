"""Copies the audit's records to where they are watched and kept: Elasticsearch, or a syslog receiver."""
