"""What a model costs on a real cluster: cold starts taken apart, the way to a warm one, REST beside gRPC."""
