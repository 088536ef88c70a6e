"""From what a project holds to what is shown: laws, table, front, how sure, sentences."""
