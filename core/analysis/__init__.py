"""From the content of a project to what is shown: laws, table, front, uncertainty, sentences."""
