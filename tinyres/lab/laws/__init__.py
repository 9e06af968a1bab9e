"""Random nets at initialisation, against closed forms."""
