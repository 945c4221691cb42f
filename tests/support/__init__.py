"""What the tests of several rooms share: processes, proxies, and models made for them."""
