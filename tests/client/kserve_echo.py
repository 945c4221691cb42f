"""Run as a script: a stock kserve ModelServer with a model that echoes its inputs. Arguments: REST port, gRPC port."""

from __future__ import annotations

import sys

from kserve import InferOutput, InferResponse, Model, ModelServer


class Echo(Model):
    def __init__(self) -> None:
        super().__init__("echo")
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        outputs = []
        for given in payload.inputs:
            array = given.as_numpy()
            output = InferOutput(given.name, list(array.shape), given.datatype)
            output.set_data_from_numpy(array, binary_data=payload.use_binary_outputs)
            outputs.append(output)
        return InferResponse(payload.id, self.name, outputs)


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2]), workers=1).start([Echo()])
