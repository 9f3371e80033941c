"""What a kind of case is: one file a kind, one table (table.py)."""
