"""What watches any model without changing it; each result is a `Measurement`: named arrays, a picture, JSON."""
