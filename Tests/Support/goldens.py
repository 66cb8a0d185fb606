"""Golden files that are the same to the byte each time they are written."""
import json
from pathlib import Path


def write_golden(path: Path, data: bytes, metadata: dict[str, str]) -> None:
    """Writes `data`, a safetensors file as `safetensors.*.save` gives it, with `metadata` in their order."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    header["__metadata__"] = metadata
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length:])
