"""Engines: what answers. One interface, one file or folder an implementation, loaded when asked for."""
