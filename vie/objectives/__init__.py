"""Memory bank, instance recognition, local aggregation."""
