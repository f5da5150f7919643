"""What was made from what: files whole or not at all, provenance by content, stores of tables and of replicates."""
