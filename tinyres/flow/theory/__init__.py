"""Closed forms, a file a theory: what the experiments are held against.

mean_field.py   wide random nets: variance maps, fixed points, chi and the depth scale
"""
