"""Writes real-ggufs.json: real_gguf_goldens.py GEMMA3_GGUF QWEN2_GGUF [FOLDER]

What two real files hold, as others read them. For each: its SHA-256, what transformers calls its tensors and their
shapes (model classes on the meta device, with the sizes that are written here), and the first 64 values of a few rows
as the bits of gguf-py's float32 (`gguf.dequantize`), one row at least for every type in the file.

  gemma-3-270m-q4_k_m.gguf            Gemma 3 270M (Gemma terms of use)
  Qwen2.5-Coder-0.5B-Instruct Q4_K_M  (Apache-2.0)

Made with gguf 0.19 and transformers 5.23; versions are inside. Deterministic: running it again changes nothing.
"""
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers as hf

SCRIPT = "Tests/CheckpointsTests/Goldens/real_gguf_goldens.py"
VALUES = 64
MODELS = {
    "gemma3": (hf.Gemma3ForCausalLM, hf.Gemma3TextConfig(
        vocab_size=262144, hidden_size=640, intermediate_size=2048, num_hidden_layers=18, num_attention_heads=4,
        num_key_value_heads=1, head_dim=256, tie_word_embeddings=True),
        [("token_embd.weight", 262143), ("blk.0.attn_q.weight", 1023), ("blk.3.attn_output.weight", 17),
         ("blk.0.ffn_down.weight", 639), ("blk.17.attn_v.weight", 5), ("blk.17.attn_k_norm.weight", 0)]),
    "qwen2": (hf.Qwen2ForCausalLM, hf.Qwen2Config(
        vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, tie_word_embeddings=False),
        [("token_embd.weight", 151935), ("output.weight", 7), ("blk.0.attn_k.weight", 100),
         ("blk.0.ffn_down.weight", 895), ("blk.11.ffn_down.weight", 1), ("blk.23.attn_q.bias", 0)]),
}


def rows(reader: gguf.GGUFReader, chosen: list, names: dict) -> list:
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    result = []
    for name, row in chosen:
        tensor = tensors[name]
        stored = tensor.data.reshape(-1, tensor.data.shape[-1])[row]
        values = gguf.dequantize(stored, tensor.tensor_type).astype(np.float32)[:VALUES]
        kind = tensor.tensor_type.name.lower()
        result.append({"name": names[name], "type": kind, "row": row, "bits": values.view(np.uint32).tolist()})
    missing = {tensor.tensor_type.name.lower() for tensor in reader.tensors} - {row["type"] for row in result}
    assert not missing, missing
    return result


def describe(architecture: str, path: str) -> dict:
    model_class, configuration, chosen = MODELS[architecture]
    with torch.device("meta"):
        model = model_class(configuration)
    state = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    if configuration.tie_word_embeddings:
        del state["lm_head.weight"]
    number = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(number, configuration.num_hidden_layers)
    stored = {names.get_name(name, try_suffixes=(".weight", ".bias")): name for name in state}
    reader = gguf.GGUFReader(path)
    assert {tensor.name for tensor in reader.tensors} == set(stored)
    return {"sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(), "tensors": state,
            "rows": rows(reader, chosen, stored)}


def main() -> None:
    gemma, qwen = sys.argv[1:3]
    folder = Path(sys.argv[3] if len(sys.argv) > 3 else Path(__file__).resolve().parent)
    found = {"made": {"generator": SCRIPT, "gguf": version("gguf"), "transformers": hf.__version__},
             "gemma3": describe("gemma3", gemma), "qwen2": describe("qwen2", qwen)}
    text = json.dumps(found, separators=(",", ":")).replace('],"', '],\n"')
    (folder / "real-ggufs.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
