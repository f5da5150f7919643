"""The figures of the page, one module a section: tidy inputs in, a Matplotlib figure out."""
