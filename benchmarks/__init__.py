"""Speed: ratios with both sides interleaved in one run; `make bench` measures all and writes docs/performance.md."""
