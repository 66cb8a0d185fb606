"""Writes the seeds of the fuzzers: corpus.py [FOLDER]

Small valid files of every kind that is read, and a few that break one rule, under Corpus/TARGET/seed-*. Files there
with other names are findings of the fuzzers and stay. Made with gguf 0.19; deterministic: running it again changes nothing.
"""
import json
import struct
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

SEED = 9
MODEL = {"block_count": 1, "context_length": 32, "embedding_length": 32, "feed_forward_length": 32,
         "attention.head_count": 4}
DECODER = MODEL | {"attention.head_count_kv": 2, "attention.key_length": 8, "attention.layer_norm_rms_epsilon": 1e-6,
                   "rope.freq_base": 500000.0}
ATTENTION = {"attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32)}
GATED = {"ffn_gate": (32, 32), "ffn_up": (32, 32), "ffn_down": (32, 32)}
BIASES = {f"{name}.bias": shape[:1] for name, shape in ATTENTION.items() if name != "attn_output"}
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]


def byte_alphabet() -> list[str]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte if byte in printable else 0x100 + others.index(byte)) for byte in range(256)]


def write_gguf(path: Path, architecture: str, fields: dict, tensors: dict, tokens: list[str], kind: str = "F32",
               tokenizer: dict | None = None) -> None:
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as folder:
        writer = gguf.GGUFWriter(f"{folder}/x", architecture)
        for key, value in fields.items():
            add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string, bool: writer.add_bool}
            add[type(value)](f"{architecture}.{key}", value)
        writer.add_array("tokenizer.ggml.tokens", tokens)
        for key, value in (tokenizer or {}).items():
            if isinstance(value, list):
                writer.add_array(f"tokenizer.ggml.{key}", value)
            else:
                (writer.add_uint32 if isinstance(value, int) else writer.add_string)(f"tokenizer.ggml.{key}", value)
        number = gguf.GGMLQuantizationType[kind]
        block, size = gguf.GGML_QUANT_SIZES[number]
        for name, shape in tensors.items():
            if len(shape) == 1 or kind == "F32":
                writer.add_tensor(name, np.ones(shape, np.float32))
            else:
                assert shape[1] % block == 0
                stored = rng.integers(0, 256, (shape[0], shape[1] // block * size), dtype=np.uint8)
                writer.add_tensor(name, stored, raw_dtype=number)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        path.write_bytes(Path(f"{folder}/x").read_bytes())


def layer(tensors: dict, *norms: str) -> dict:
    found = {f"blk.0.{name}" if name.endswith(".bias") else f"blk.0.{name}.weight": shape
             for name, shape in tensors.items()}
    return found | {f"blk.0.{norm}.weight": (8,) if norm in ("attn_q_norm", "attn_k_norm") else (32,) for norm in norms}


def ggufs(folder: Path) -> None:
    tokens = [f"t{index}" for index in range(8)]
    ends = {"token_embd.weight": (8, 32), "output_norm.weight": (32,)}
    norms = ["attn_norm", "ffn_norm"]
    llama = ends | layer(ATTENTION | GATED, *norms)
    write_gguf(folder / "seed-llama3.gguf", "llama", DECODER, llama | {"rope_freqs.weight": (4,)}, tokens, "Q8_0")
    linear = {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}
    write_gguf(folder / "seed-linear.gguf", "llama", DECODER | linear, llama, tokens, "BF16")
    write_gguf(folder / "seed-qwen2.gguf", "qwen2", DECODER, ends | layer(ATTENTION | GATED | BIASES, *norms), tokens,
               "Q5_0")
    write_gguf(folder / "seed-qwen3.gguf", "qwen3", DECODER,
               ends | layer(ATTENTION | GATED, *norms, "attn_q_norm", "attn_k_norm"), tokens, "Q4_0")
    write_gguf(folder / "seed-gemma3.gguf", "gemma3", DECODER | {"attention.sliding_window": 16},
               ends | layer(ATTENTION | GATED, *norms, "attn_q_norm", "attn_k_norm", "post_attention_norm",
                            "post_ffw_norm"), tokens, "Q4_1")
    projections = {"attn_qkv": (96, 32), "attn_output": (32, 32), "ffn_up": (32, 32), "ffn_down": (32, 32)}
    biases = {f"blk.0.{name}.bias": shape[:1] for name, shape in projections.items()}
    write_gguf(folder / "seed-gpt2.gguf", "gpt2", MODEL | {"attention.layer_norm_epsilon": 1e-5},
               ends | {"position_embd.weight": (32, 32), "output_norm.bias": (32,), "blk.0.attn_norm.bias": (32,),
                       "blk.0.ffn_norm.bias": (32,)} | layer(projections, *norms) | biases, tokens, "Q5_1")
    alphabet = ["<s>", "</s>", *byte_alphabet(), "th", "the"]
    small = ends | {"token_embd.weight": (260, 32)}
    write_gguf(folder / "seed-bytes.gguf", "llama", DECODER, small, alphabet, "Q4_0",
               {"model": "gpt2", "pre": "smollm", "merges": ["t h", "th e"], "bos_token_id": 0, "eos_token_id": 1,
                "token_type": [3, 3] + [1] * 258})
    pieces = ["<unk>", "<s>", "</s>", "<0x41>", "\u2581", "t", "h", "e", "\u2581t", "he", "\u2581the"]
    write_gguf(folder / "seed-pieces.gguf", "llama", DECODER, ends, pieces, "F16",
               {"model": "llama", "scores": [0.0] * 5 + [-float(n) for n in range(6)],
                "token_type": [2, 3, 3, 6] + [1] * 7, "bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0})
    for kind in TYPES:
        write_gguf(folder / f"seed-{kind.lower()}.gguf", "other", {}, {"t": (1, 256)}, tokens[:1], kind)
    nested = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q1sI", 1, b"a", 9)
    nested += struct.pack("<IQ", 9, 2) + 2 * (struct.pack("<IQ", 8, 1) + struct.pack("<Q2s", 2, b"xy"))
    (folder / "seed-nested.gguf").write_bytes(nested)
    scalars = b"".join(struct.pack("<Q1sI", 1, bytes([97 + kind]), kind) + bytes(size)
                       for kind, size in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (7, 1), (10, 8),
                                          (11, 8), (12, 8)])
    (folder / "seed-scalars.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 2, 0, 11) + scalars)


def safetensors(folder: Path) -> None:
    def write(name: str, header: dict | str, data: int) -> None:
        text = (header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))).encode()
        (folder / f"seed-{name}").write_bytes(struct.pack("<Q", len(text)) + text + bytes(range(data)))

    def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict:
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    write("empty", "{}", 0)
    write("metadata", {"__metadata__": {"format": "pt", "é": "\u0000"}, "a": entry("F32", [2, 3], 0, 24)}, 24)
    kinds = [("F64", 8), ("F32", 4), ("F16", 2), ("BF16", 2), ("I64", 8), ("I32", 4), ("I16", 2), ("I8", 1), ("U8", 1),
             ("BOOL", 1)]
    header, place = {}, 0
    for kind, size in kinds:
        header[f"model.layers.{place}.{kind}"] = entry(kind, [1, 2], place, place + 2 * size)
        place += 2 * size
    write("types", header, place)
    write("scalar", {"s": entry("F32", [], 0, 4)}, 4)
    write("overlap", {"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, 6)
    write("hole", {"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 6, 10)}, 10)
    write("huge", {"a": entry("F64", [1 << 62, 1 << 62], 0, 1 << 62)}, 4)
    write("negative", {"a": entry("U8", [-1], -4, 4)}, 4)
    write("deep", '{"a":' + "[" * 60 + "]" * 60 + "}", 0)
    write("twice", '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
          '"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', 2)


def tokenizers(folder: Path) -> None:
    alphabet = ["<s>", "</s>", *byte_alphabet(), "th", "the", "\u0120the"]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False,
             "ignore_merges": True, "vocab": {token: index for index, token in enumerate(alphabet)},
             "merges": ["t h", ["th", "e"], "\u0120 the"]}
    special = {"single_word": False, "lstrip": True, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": 0, "content": "<s>"} | special, {"id": 1, "content": "</s>"} | special]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    split = {"type": "Split", "pattern": {"Regex": r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+(?!\S)|\s+"},
             "behavior": "Isolated", "invert": False}
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                                         {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
             "pre_tokenizer": byte_level, "post_processor": None, "decoder": {"type": "ByteLevel"}, "model": model}
    pieces = ["<unk>", "<s>", "</s>", "<0x41>", "\u2581", "t", "h", "e", "\u2581t", "he", "\u2581the"]
    fallback = model | {"unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True,
                        "vocab": {token: index for index, token in enumerate(pieces)},
                        "merges": ["h e", "\u2581 t", "\u2581t he"]}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    decoder = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                                                {"type": "ByteFallback"}, {"type": "Fuse"},
                                                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    unigram = {"type": "Unigram", "unk_id": 0, "vocab": [[token, -float(n)] for n, token in enumerate(pieces)],
               "byte_fallback": False}
    seeds = {
        "bytes": whole,
        "split": whole | {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True}, split, byte_level | {"use_regex": False}]},
            "post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, template]},
            "normalizer": {"type": "NFC"}},
        "fallback": whole | {"model": fallback, "pre_tokenizer": None, "decoder": decoder, "added_tokens": [],
                             "normalizer": {"type": "Sequence", "normalizers": [
                                 {"type": "Prepend", "prepend": "\u2581"}, replace]}},
        "metaspace": whole | {"model": fallback, "decoder": decoder, "added_tokens": [], "pre_tokenizer": {
            "type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": False}},
        "unigram": whole | {"model": unigram, "decoder": decoder, "added_tokens": [], "normalizer": replace,
                            "pre_tokenizer": None},
        "backtracking": whole | {"pre_tokenizer": split | {"pattern": {"Regex": "(x+x+)+y|(?=(a*)*)b|\\s*"}}},
    }
    for name, seed in seeds.items():
        (folder / f"seed-{name}.json").write_text(json.dumps(seed, separators=(",", ":"), ensure_ascii=False))


def configurations(folder: Path) -> None:
    decoder = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
               "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 40, "max_position_embeddings": 64,
               "rms_norm_eps": 1e-6, "rope_theta": 1e4, "tie_word_embeddings": True}
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8192}
    seeds = {
        "llama": decoder | {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
                            "rope_scaling": None},
        "llama3": decoder | {"model_type": "llama", "rope_scaling": llama3,
                             "rope_parameters": llama3 | {"rope_theta": 5e5}},
        "linear": decoder | {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.0}},
        "mistral": decoder | {"model_type": "mistral", "sliding_window": 16, "hidden_act": "silu"},
        "qwen2": decoder | {"model_type": "qwen2", "use_sliding_window": False, "sliding_window": None,
                            "max_window_layers": 1, "hidden_act": "silu"},
        "qwen3": decoder | {"model_type": "qwen3", "attention_bias": False, "hidden_act": "silu"},
        "gemma3": decoder | {"model_type": "gemma3_text", "hidden_activation": "gelu_pytorch_tanh",
                             "sliding_window": 16, "query_pre_attn_scalar": 8, "rope_local_base_freq": 1e4, "espalier_norm_offset": 0,
                             "layer_types": ["sliding_attention", "full_attention"], "final_logit_softcapping": None,
                             "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                                                 "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}},
        "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": None, "n_positions": 64,
                 "vocab_size": 40, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
                 "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False},
        "opt": {"model_type": "opt", "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                "max_position_embeddings": 64, "vocab_size": 40, "word_embed_proj_dim": 32,
                "activation_function": "relu", "do_layer_norm_before": True, "enable_bias": True, "layer_norm_elementwise_affine": True},
    }
    for name, seed in seeds.items():
        (folder / f"seed-{name}.json").write_text(json.dumps(seed, separators=(",", ":")))


def main() -> None:
    corpus = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent / "Corpus")
    for target, make in [("gguf", ggufs), ("safetensors", safetensors), ("tokenizer", tokenizers),
                         ("configuration", configurations)]:
        folder = corpus / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed-*"):
            old.unlink()
        make(folder)


if __name__ == "__main__":
    main()
