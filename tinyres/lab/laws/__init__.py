"""Laws of random nets at initialisation, compared with closed forms."""
