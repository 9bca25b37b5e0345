"""Invisible watermarks: pointers to a manifest, never proof."""
