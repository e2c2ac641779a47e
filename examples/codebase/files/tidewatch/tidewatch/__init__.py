"""Tide predictions from harmonic constants."""
