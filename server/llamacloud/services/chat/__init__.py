"""Chat over indexes: sessions, turns, and the tools that a model looks into files with."""
