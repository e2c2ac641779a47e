"""Measures how well questions are answered by ways of searching, and says which one to use."""
