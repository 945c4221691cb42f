"""One folder a model family, and `serving`: the V2 server around them."""
