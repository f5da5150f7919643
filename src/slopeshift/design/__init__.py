"""Times of visits and injections turned into what coefficients are multiplied by."""
