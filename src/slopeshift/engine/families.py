"""Which residual families the engine has a density of, by number: for those who name one without loading it."""

NORMAL, STUDENT_T, BOUNDED = range(3)
