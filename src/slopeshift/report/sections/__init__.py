"""The sections of the page: one module each, named as its template, whose `context` gives what that prints."""
