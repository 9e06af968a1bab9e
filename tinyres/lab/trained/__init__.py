"""Nets that are trained on real images."""
