"""Videos -> manifest -> frames -> index -> clips -> batches."""
