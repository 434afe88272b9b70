"""The config: checked, completed, and read.

Imports neither torch, pandas nor numpy: Snakemake reads it each time it builds the job graph.
"""
