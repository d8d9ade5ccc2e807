"""How chapters become tests, figures, site, PDF and notebooks: a tool of this repository."""
