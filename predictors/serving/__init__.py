"""The V2 server around one model.

    edges (rest, grpc) → data plane → admission → intake (codec, images) → batcher → model → answer → edge

Both edges meet in `dataplane`; nothing after it knows which one a request came through. The event loop does nothing
but network traffic: parsing, decoding, the model and encoding run in threads (`engine`).
"""
