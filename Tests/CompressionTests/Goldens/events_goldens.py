"""The event file that TensorBoardWriter is held against: tensorboard's own messages and framing (2.21).

    pip install tensorboard && python3 Tests/CompressionTests/Goldens/events_goldens.py

Tests/ProtocolTests/test_events.py makes the same bytes with the tensorboard that it finds, and reads them.
"""

import io
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

FILE = Path(__file__).with_name("events.golden.tfevents")
START = 1_700_000_000.25
RESUMED = 2
STEPS = [
    (0, 0, {"loss": 2.5, "loss/forward-kl": 1.25}),
    (2, 4096, {"loss": float("nan"), "learningRate": 1e-4}),
    (3_000_000_000, 1 << 40, {"loss": float("-inf"), "größe": -0.0}),
]


def events():
    yield Event(wall_time=START, file_version="brain.Event:2")
    yield Event(wall_time=START, step=RESUMED, session_log=SessionLog(status=SessionLog.START))
    for number, (step, tokens, values) in enumerate(STEPS):
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in {"tokens": tokens, **values}.items()]
        yield Event(wall_time=START + number, step=step, summary=Summary(value=scalars))


def written():
    class Kept(io.BytesIO):
        def close(self):
            self.content = self.getvalue()

    stream = Kept()
    writer = RecordWriter(stream)
    for event in events():
        writer.write(event.SerializeToString())
    writer.close()
    return stream.content


if __name__ == "__main__":
    FILE.write_bytes(written())
    print(f"wrote {FILE.stat().st_size} bytes to {FILE}")
