"""Instruments that measure any model without changing it; each returns a `Measurement`: named arrays, a plot, JSON."""
