"""Dubbed lines over the ducked bed, at delivery loudness; the result is decoded and checked."""
