"""How the report puts numbers, findings and names into words."""
