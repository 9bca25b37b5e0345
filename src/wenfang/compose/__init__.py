"""Deterministic assembly: what goes in and a seed decide every pixel that comes out."""
