"""Writes architectures.json: architecture_goldens.py [FOLDER]

For every architecture that is read from GGUF, the tensors of a tiny model of two layers as transformers names them,
with the names that gguf-py's tables (`get_tensor_name_map`, which llama.cpp's converter uses) give them:

{"qwen3": {"class": ..., "tensors": [[GGUF name, Hugging Face name, [rows, columns]], ...]}, ...}

in the order of the state dict. Shapes are rows first; those of GPT-2's Conv1D, which is stored transposed, are turned
to rows of outputs, as GGUF has them. OPT, which has no GGUF form, is there for its names: its GGUF names are null.
Made with gguf 0.19 and transformers 5.23; versions are inside. Deterministic: running it again changes nothing.
"""
import json
import sys
from importlib.metadata import version
from pathlib import Path

import gguf
import torch
import transformers as hf

SCRIPT = "Tests/CheckpointsTests/Goldens/architecture_goldens.py"
DECODER = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
               num_key_value_heads=2, head_dim=6, tie_word_embeddings=False)
MODELS = {
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig(**DECODER)),
    "qwen2": (hf.Qwen2ForCausalLM, hf.Qwen2Config(**DECODER)),
    "qwen3": (hf.Qwen3ForCausalLM, hf.Qwen3Config(**DECODER)),
    "gemma3": (hf.Gemma3ForCausalLM, hf.Gemma3TextConfig(**DECODER)),
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=2, n_head=4,
                                               n_inner=24, tie_word_embeddings=False)),
    "opt": (hf.OPTForCausalLM, hf.OPTConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, ffn_dim=24,
                                            num_attention_heads=4, max_position_embeddings=32, word_embed_proj_dim=8,
                                            tie_word_embeddings=False)),
}


def gguf_names(architecture: str) -> gguf.TensorNameMap | None:
    number = next((key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture), None)
    return None if number is None else gguf.get_tensor_name_map(number, 2)


def tensors(architecture: str, model: torch.nn.Module) -> list:
    names = gguf_names(architecture)
    rows = []
    for name, tensor in model.state_dict().items():
        shape = list(tensor.shape)
        owner = model.get_submodule(name.rpartition(".")[0])
        if isinstance(owner, hf.pytorch_utils.Conv1D) and len(shape) == 2:
            shape.reverse()
        stored = names and names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert stored or architecture == "opt", name
        rows.append([stored, name, shape])
    return rows


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)
    lines = []
    for architecture, (model_class, configuration) in MODELS.items():
        with torch.device("meta"):
            model = model_class(configuration)
        rows = ",\n    ".join(json.dumps(row) for row in tensors(architecture, model))
        lines.append(f'  "{architecture}": {{"class": "{model_class.__name__}", "tensors": [\n    {rows}\n  ]}}')
    made = {"generator": SCRIPT, "gguf": version("gguf"), "transformers": hf.__version__}
    text = "{\n" + f'  "made": {json.dumps(made)},\n' + ",\n".join(lines) + "\n}\n"
    json.loads(text)
    (folder / "architectures.json").write_text(text)


if __name__ == "__main__":
    main()
