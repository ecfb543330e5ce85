"""Bytes in and out: stores, formats, caches, streaming."""
