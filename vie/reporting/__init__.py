"""Published values, tables, plots."""
