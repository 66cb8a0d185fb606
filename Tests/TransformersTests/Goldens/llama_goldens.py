"""Writes the goldens of the transformer tests: llama_goldens.py [FOLDER]

For every case below a tiny random Llama model as a Hugging Face folder NAME/ (config.json, model.safetensors,
tokenizer.json) or as NAME.gguf, and NAME.golden.safetensors with what transformers computes for it in fp32:

tokens  I32 [2, 19]        two sequences
hidden  F32 [3, 2, 19, C]  the embedding, then the hidden state after each of the two layers, before the final norm
losses  F64 [2, 18]        -log softmax of each next token, in nats

Made with PyTorch 2.13 and transformers 5.23; versions and seed are in the metadata. Deterministic: running it again
changes nothing. The GGUF files hold the query and key rows in GGUF's own order, as llama.cpp's converter puts them.
"""
import json
import platform
import sys
from pathlib import Path

import gguf
import numpy
import safetensors
import torch
import transformers
from safetensors.torch import save
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Support"))
from goldens import write_golden  # noqa: E402

SEED = 20261
LAYERS, VOCABULARY, SEQUENCES, LENGTH = 2, 67, 2, 19
MERGE = ("A", "B")
SCRIPT = "Tests/TransformersTests/Goldens/llama_goldens.py"

SMALL = dict(hidden_size=24, intermediate_size=56, num_attention_heads=3, num_key_value_heads=1)
BLOCKS = dict(hidden_size=32, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2)

# name, what the configuration says, type of the stored weights, whether the file is GGUF
CASES = [
    ("grouped-f32", dict(SMALL, tie_word_embeddings=False), "f32", False),
    ("tied-bf16", dict(hidden_size=40, intermediate_size=56, num_attention_heads=4, num_key_value_heads=2,
                       tie_word_embeddings=True, rope_theta=777.0, rms_norm_eps=1e-5), "bf16", False),
    ("wide-heads-f16", dict(SMALL, num_key_value_heads=3, head_dim=14, tie_word_embeddings=True,
                            rope_theta=500000.0), "f16", False),
    ("grouped-f32-gguf", dict(SMALL, tie_word_embeddings=False, rope_theta=31.0), "f32", True),
    ("blocks-q8-gguf", dict(BLOCKS, tie_word_embeddings=True), "q8_0", True),
    ("blocks-q4-gguf", dict(BLOCKS, tie_word_embeddings=False), "q4_0 q4_1", True),
]
TORCH_TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


# --- Models --------------------------------------------------------------------------------------


def configuration(fields: dict) -> LlamaConfig:
    fields = dict(fields)
    theta = fields.pop("rope_theta", 10000.0)
    return LlamaConfig(
        vocab_size=VOCABULARY, num_hidden_layers=LAYERS, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
        pad_token_id=None, rope_parameters={"rope_type": "default", "rope_theta": theta}, **fields)


def random_model(config: LlamaConfig, generator: torch.Generator) -> LlamaForCausalLM:
    """Weights large enough that every part of the arithmetic shows in the losses."""
    model = LlamaForCausalLM(config).to(torch.float32).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1 + 0.3 * noise if "norm" in name else noise / weight.shape[-1] ** 0.5)
        model.model.embed_tokens.weight.mul_(2)
        if config.tie_word_embeddings:
            model.tie_weights()
    return model


def tokenizer(vocabulary: int = VOCABULARY) -> Tokenizer:
    """Single characters and one pair of them: only there because a checkpoint must have a tokenizer."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())[:vocabulary - 1]
    tokens = alphabet + ["".join(MERGE)]
    made = Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(tokens)}, merges=[MERGE]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def stored_tensors(model: LlamaForCausalLM) -> dict[str, torch.Tensor]:
    tensors = {name: weight.detach() for name, weight in model.named_parameters()}
    if model.config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    return tensors


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict) -> None:
    """As safetensors writes it, but with the metadata in order, so that the bytes are always the same."""
    write_golden(path, save(tensors, metadata=metadata), dict(sorted(metadata.items())))


# --- Hugging Face folders ------------------------------------------------------------------------


def write_folder(folder: Path, model: LlamaForCausalLM, kind: str, metadata: dict) -> None:
    """Rounds the weights of `model` to what is stored."""
    folder.mkdir(exist_ok=True)
    rounded = {name: weight.to(TORCH_TYPES[kind]) for name, weight in stored_tensors(model).items()}
    with torch.no_grad():
        for name, weight in stored_tensors(model).items():
            weight.copy_(rounded[name].float())
    config = model.config.to_dict()
    if config["head_dim"] == config["hidden_size"] // config["num_attention_heads"]:
        del config["head_dim"]
    config.update(architectures=["LlamaForCausalLM"], model_type="llama", dtype=str(TORCH_TYPES[kind]).split(".")[-1])
    for key in ("transformers_version", "_name_or_path", "chunk_size_feed_forward", "id2label", "label2id"):
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    write_safetensors(folder / "model.safetensors", rounded, {"format": "pt", **metadata})
    document = json.loads(tokenizer().to_str())
    (folder / "tokenizer.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")


# --- GGUF ----------------------------------------------------------------------------------------


GGUF_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{GGUF_NAMES[part]}.weight"
    return f"{GGUF_NAMES[stem]}.weight"


def interleaved(weight: numpy.ndarray, heads: int) -> numpy.ndarray:
    """The two halves of each head's rows side by side, row by row: GGUF's order of query and key projections."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(path: Path, model: LlamaForCausalLM, kind: str) -> None:
    """Rounds the weights of `model` to what is stored."""
    config = model.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    vocabulary = tokenizer().get_vocab()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.get))
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCABULARY)
    writer.add_token_merges([" ".join(MERGE)])
    types = [getattr(gguf.GGMLQuantizationType, name.upper()) for name in kind.split()]
    for index, (name, weight) in enumerate(stored_tensors(model).items()):
        type = gguf.GGMLQuantizationType.F32 if weight.ndim == 1 else types[index % len(types)]
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        heads = next((count for part, count in heads.items() if part in name), None)
        data = weight.numpy() if heads is None else interleaved(weight.numpy(), heads)
        data = gguf.quants.quantize(numpy.ascontiguousarray(data), type)
        writer.add_tensor(gguf_name(name), data, raw_dtype=type)
        with torch.no_grad():  # rows keep their order: the type of a row does not depend on the others
            weight.copy_(torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(weight.numpy(), type), type)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# --- Goldens -------------------------------------------------------------------------------------


@torch.no_grad()
def golden(model: LlamaForCausalLM, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    states = []
    hooks = [model.model.embed_tokens.register_forward_hook(lambda m, i, o: states.append(o))]
    for layer in model.model.layers:
        hooks.append(layer.register_forward_hook(
            lambda m, i, o: states.append(o[0] if isinstance(o, tuple) else o)))
    logits = model(input_ids=tokens, use_cache=False).logits
    for hook in hooks:
        hook.remove()
    log_probabilities = torch.log_softmax(logits[:, :-1].double(), -1)
    losses = -log_probabilities.gather(-1, tokens[:, 1:, None]).squeeze(-1)
    return {"tokens": tokens.int(), "hidden": torch.stack(states).contiguous(), "losses": losses.contiguous()}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)
    torch.set_num_threads(1)
    for number, (name, fields, kind, is_gguf) in enumerate(CASES):
        generator = torch.Generator().manual_seed(SEED + number)
        metadata = {
            "generator": SCRIPT, "case": name, "seed": str(SEED + number), "python": platform.python_version(),
            "torch": torch.__version__, "transformers": transformers.__version__,
            "safetensors": safetensors.__version__,
        }
        model = random_model(configuration(fields), generator)
        if is_gguf:
            write_gguf(folder / f"{name}.gguf", model, kind)
        else:
            write_folder(folder / name, model, kind, metadata)
        tokens = torch.randint(VOCABULARY, (SEQUENCES, LENGTH), generator=generator)
        result = golden(model, tokens)
        write_safetensors(folder / f"{name}.golden.safetensors", result, metadata)
        print(f"{name}: mean loss {result['losses'].mean():.4f}")


if __name__ == "__main__":
    main()
