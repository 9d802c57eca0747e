"""From metrics.csv to tables, with intervals."""
