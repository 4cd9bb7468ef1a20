"""Packets, sinks and the hub that joins them: the only frame path."""
