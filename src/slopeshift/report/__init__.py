"""The report of a trial: one self-contained page, and its tables and figures as files (`page.write`)."""
