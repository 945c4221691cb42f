"""Which models there are, as the V2 endpoint tells; asking wakes none of them."""
