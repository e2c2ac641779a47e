"""Which kind of document each page of a file belongs to, and where one document ends and the next begins."""
