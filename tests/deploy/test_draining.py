"""What the order of stopping relies on: connections end by age, and requests do not."""

import time

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from server import EmbeddedServer, ServerOptions, free_ports

AGE_S = 1.0
WORK_S = 4.0
IN_FLIGHT = 8


def test_connections_that_end_by_age_fail_no_request(demo_repository):
    flag = f"--grpc-max-connection-age={round(1000 * AGE_S)}"
    options = ServerOptions(demo_repository, **free_ports(), extra_arguments=(flag,))
    audio = service_pb2.ModelInferRequest.InferInputTensor(
        name="audio_signal", datatype="INT16", shape=[1, 16_000]
    )
    request = service_pb2.ModelInferRequest(
        model_name="demo", inputs=[audio], raw_input_contents=[bytes(32_000)]
    )
    states = []
    with EmbeddedServer(options) as server, grpc.insecure_channel(server.grpc_url) as channel:
        channel.subscribe(states.append)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        deadline_s = time.monotonic() + WORK_S
        while time.monotonic() < deadline_s:
            waiting = [stub.ModelInfer.future(request, timeout=10) for _ in range(IN_FLIGHT)]
            assert all(reply.result().outputs for reply in waiting)  # raises where one failed
    assert states.count(grpc.ChannelConnectivity.READY) >= 2
