"""The server's vital signs: what one look at it shows. Read from the metrics and the ledger."""
