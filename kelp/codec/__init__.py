"""V2, the Open Inference Protocol: tensors, requests and responses, over REST (`rest`) and gRPC (`grpc_messages`).

One implementation for client and server. gRPC's part needs protobuf and is only loaded where it is used.
"""

from kelp.codec.messages import InferRequest, InferResponse, RequestedOutput
from kelp.codec.rest import decode_request, decode_response, encode_request, encode_response, header_length_of
from kelp.codec.tensor import Buffer, Parameter, Parameters, Tensor

__all__ = [
    "Buffer",
    "InferRequest",
    "InferResponse",
    "Parameter",
    "Parameters",
    "RequestedOutput",
    "Tensor",
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
    "header_length_of",
]
