"""Training of the small DINOv2 + SegFormer and the small SAM on the synthetic reef."""
