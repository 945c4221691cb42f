"""What several model families need: errors about weights, threads, device memory, onnxruntime's devices."""
