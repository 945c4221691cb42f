"""Which models there are and how each is called: one V2 endpoint's, or a cluster's. Asking wakes none of them."""
