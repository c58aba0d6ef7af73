"""Numbers, tables and pages as text: what reports, checks and the command line write alike. Imports nothing."""
