"""Experiments that train nets on real images."""
