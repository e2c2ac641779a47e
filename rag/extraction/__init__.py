"""Structured data out of the text of a document: what a JSON schema asks for, as a language model finds it, with the
place in the text that each value was read from."""
