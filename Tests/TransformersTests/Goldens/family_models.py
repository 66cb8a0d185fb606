"""The tiny random models of family_goldens.py: one configuration per architecture, and what their weights are.

Sizes are odd on purpose: heads that are no power of two, head size times heads that is not the hidden size where the
family has such a field, a vocabulary and an intermediate size that no vector length divides. No weight is zero or one.
Dropout rates stay as the families ship them; the models are in eval mode throughout. There is no padding token: PyTorch
gives the embedding of one no gradient, which is a matter of PyTorch and not of the architecture.
"""
import math

import torch
from transformers import (AutoModelForCausalLM, Gemma3TextConfig, GPT2Config, LlamaConfig, MistralConfig, OPTConfig,
                          PretrainedConfig, Qwen2Config, Qwen3Config)

EPS = 1e-3  # of the norms: large enough that a wrong one shows
ENDS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=None)
# 30^(-2i/10): wavelengths 6.3 | 12.4, 24.5 | 48, 95 beside the bounds 32/4 = 8 and 32/1 = 32: all three regimes.
LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 30.0, "factor": 4.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 32}


def sizes(vocabulary: int, layers: int, hidden: int, heads: int, kv: int, inner: int, **more) -> dict:
    return dict(vocab_size=vocabulary, num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads,
                num_key_value_heads=kv, intermediate_size=inner, max_position_embeddings=64, **ENDS, **more)


def rope(theta: float, **more) -> dict:
    return {"rope_type": "default", "rope_theta": theta, **more}


CASES = {
    "llama3": LlamaConfig(**sizes(101, 3, 20, 5, 1, 37, head_dim=10, tie_word_embeddings=True, rms_norm_eps=EPS,
                                  rope_parameters=LLAMA3_ROPE)),
    "llama-linear": LlamaConfig(**sizes(117, 2, 24, 6, 3, 52, head_dim=6, tie_word_embeddings=False,
                                        rope_parameters=rope(100.0, rope_type="linear", factor=2.5))),
    "mistral": MistralConfig(**sizes(117, 3, 21, 3, 1, 52, head_dim=10, tie_word_embeddings=False, sliding_window=7,
                                     rms_norm_eps=EPS, rope_parameters=rope(10000.0))),
    "qwen2": Qwen2Config(**sizes(101, 3, 30, 5, 1, 37, tie_word_embeddings=False, use_sliding_window=False,
                                 sliding_window=7, max_window_layers=1, rms_norm_eps=EPS,
                                 rope_parameters=rope(1000000.0))),
    "qwen2-window": Qwen2Config(**sizes(117, 3, 24, 3, 1, 37, tie_word_embeddings=True, use_sliding_window=True,
                                        sliding_window=6, max_window_layers=1, rope_parameters=rope(500.0))),
    "qwen3": Qwen3Config(**sizes(101, 3, 22, 6, 2, 37, head_dim=8, tie_word_embeddings=True, rms_norm_eps=EPS,
                                 rope_parameters=rope(1000000.0))),
    "gemma3_text": Gemma3TextConfig(**sizes(
        117, 3, 18, 6, 3, 37, head_dim=8, tie_word_embeddings=True, sliding_window=5, query_pre_attn_scalar=13,
        rms_norm_eps=EPS, layer_types=["sliding_attention", "sliding_attention", "full_attention"], rope_parameters={
            "sliding_attention": rope(100.0), "full_attention": rope(5000.0)})),
    "gpt2": GPT2Config(vocab_size=101, n_positions=40, n_embd=30, n_layer=3, n_head=5, n_inner=37,
                       layer_norm_epsilon=EPS, **ENDS),
    "opt": OPTConfig(vocab_size=117, max_position_embeddings=40, hidden_size=30, num_hidden_layers=3,
                     num_attention_heads=3, ffn_dim=52, do_layer_norm_before=True, activation_function="relu", **ENDS),
}

# What a reader of config.json may overlook: each must change the logits of its case.
OVERSIGHTS = [
    ("llama3", dict(rope_parameters=rope(30.0))), ("llama3", dict(rope_parameters=LLAMA3_ROPE | {"factor": 2.0})),
    ("llama3", dict(rope_parameters=LLAMA3_ROPE | {"low_freq_factor": 2.0})),
    ("llama3", dict(rope_parameters=LLAMA3_ROPE | {"high_freq_factor": 6.0})), ("llama3", dict(rms_norm_eps=1e-6)),
    ("llama-linear", dict(rope_parameters=rope(100.0))), ("llama-linear", dict(hidden_act="gelu")),
    ("mistral", dict(sliding_window=None)), ("mistral", dict(sliding_window=6)), ("mistral", dict(sliding_window=8)),
    ("mistral", dict(rope_parameters=rope(1000000.0))), ("mistral", dict(rms_norm_eps=1e-6)),
    ("qwen2", dict(use_sliding_window=True, sliding_window=7, layer_types=None)),
    ("qwen2-window", dict(use_sliding_window=False, layer_types=None)),
    ("qwen2-window", dict(max_window_layers=0, layer_types=None)),
    ("qwen2-window", dict(max_window_layers=2, layer_types=None)),
    ("qwen3", dict(rms_norm_eps=1e-6)), ("qwen3", dict(rope_parameters=rope(10000.0))),
    ("gemma3_text", dict(sliding_window=64)), ("gemma3_text", dict(layer_types=["sliding_attention"] * 3)),
    ("gemma3_text", dict(sliding_window=6)), ("gemma3_text", dict(query_pre_attn_scalar=8)),
    ("gemma3_text", dict(rope_parameters={"sliding_attention": rope(100.0), "full_attention": rope(100.0)})),
    ("gemma3_text", dict(rope_parameters={"sliding_attention": rope(5000.0), "full_attention": rope(5000.0)})),
    ("gemma3_text", dict(hidden_activation="gelu")), ("gemma3_text", dict(rms_norm_eps=1e-6)),
    ("gemma3_text", dict(final_logit_softcapping=30.0)),
    ("gpt2", dict(activation_function="gelu")), ("gpt2", dict(layer_norm_epsilon=1e-6)),
    ("gpt2", dict(scale_attn_weights=False)), ("opt", dict(activation_function="gelu")),
]


def old_configuration(name: str, config: dict) -> dict:
    """`config` with the keys of transformers 4, and without those that it leaves out as defaults."""
    config = dict(config)
    for key in ("layer_types", "dtype", "_sliding_window_pattern"):
        config.pop(key, None)
    config |= {"torch_dtype": "float32", "transformers_version": "4.51.3"}
    if name in ("gemma3_text", "gpt2", "opt"):  # tied unless they say otherwise
        config.pop("tie_word_embeddings")
    rotation = config.pop("rope_parameters", None)
    if name == "gemma3_text":
        config |= {"rope_theta": rotation["full_attention"]["rope_theta"], "rope_scaling": None,
                   "rope_local_base_freq": rotation["sliding_attention"]["rope_theta"], "sliding_window_pattern": 3}
    elif rotation is not None:
        config |= {"rope_theta": rotation.pop("rope_theta"), "rope_scaling": None}
        if rotation["rope_type"] != "default":
            config["rope_scaling"] = rotation
        if rotation["rope_type"] == "linear":  # "type" is what it was called before Llama 3
            rotation["type"] = rotation.pop("rope_type")
    if name == "qwen2":  # the window is there and off
        config["sliding_window"] = 7
    return dict(sorted(config.items()))


# --- Weights -------------------------------------------------------------------------------------


def random_model(config: PretrainedConfig, generator: torch.Generator) -> torch.nn.Module:
    """Large enough that every part of the arithmetic shows in the losses."""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    offset = 0.0 if config.model_type == "gemma3_text" else 1.0  # Gemma multiplies by 1 + weight
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name.endswith(".bias"):
                weight.copy_(0.3 * noise)
            elif weight.ndim == 1:
                weight.copy_(offset + 0.3 * noise)
            elif "embed" in name or "wte" in name or "wpe" in name:
                # A tied embedding that outweighs the blocks would decode to its own input again and again.
                tied = config.tie_word_embeddings and "position" not in name and "wpe" not in name
                weight.copy_((0.7 if tied else 2) * noise / math.sqrt(config.hidden_size))
            else:
                inputs = weight.shape[0] if config.model_type == "gpt2" else weight.shape[1]
                weight.copy_(noise / math.sqrt(inputs))
    model.tie_weights()
    model.generation_config.eos_token_id = None
    return model


def blocks(model: torch.nn.Module) -> torch.nn.ModuleList:
    if model.config.model_type == "gpt2":
        return model.transformer.h
    return model.model.decoder.layers if model.config.model_type == "opt" else model.model.layers


def block_matrices(model: torch.nn.Module) -> list[str]:
    """The names of the linear weights of the blocks."""
    inside = {id(weight) for weight in blocks(model).parameters()}
    return [name for name, weight in model.named_parameters() if id(weight) in inside and weight.ndim == 2]
