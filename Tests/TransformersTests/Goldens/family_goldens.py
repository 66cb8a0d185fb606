"""Writes the goldens of the architectures: family_goldens.py [FOLDER]

For every case of family_models.py a tiny random model as the Hugging Face folder NAME/ (config.json and
model.safetensors byte for byte as save_pretrained writes them, tokenizer.json; config.v4.json says the same as
config.json in the keys of transformers 4), and NAME.golden.safetensors with what transformers computes for it in fp32
with eager attention on one thread:

tokens                   I32 [2, 19]          two sequences
hidden                   F32 [L+1, 2, 19, C]  what enters the first block (positions and scale included) and what
                                              leaves each block, before the final norm
logits                   F32 [2, 19, V]
losses                   F64 [2, 18]          -log softmax of each next token, in nats
gradient.TENSOR          F32                  of the mean of those 36 losses; tied tensors once, under the stored name
hiddenGradient           F32 [2, 19, C]       of the same mean, by the last of `hidden`
adamw.losses             F64 [10]             that mean before each of ten AdamW steps on the same batch: rate 0.003,
                                              betas 0.9 and 0.95, eps 1e-8, decay 0.1 (0 for tensors of one axis),
                                              gradient clipped to norm 1
adamw.gradientNorms      F64 [10]             norms before clipping
mask.TENSOR              U8                   0 or 1 for the linear weights of the blocks, half of them 0
adamw.masked.losses      F64 [10]             the same ten steps with masked weights: zeroed before the first and after
adamw.masked.gradientNorms                    each step, their gradients zeroed before clipping
kl.teacherLogits         F32 [2, 19, V]       of another random model of the same configuration
kl.loss                  F64 [1]              mean over the 38 tokens of KL(teacher || student), both at temperature 2,
kl.gradient.TENSOR       F32                  without the factor T^2; its gradient for three tensors
greedy                   I32 [2, 24]          the first 8 tokens and 16 that greedy decoding appends; nothing ends it
greedy.margins           F32 [2, 16]          largest less second largest logit at each of these

Every number is held against a run in double (with transformers' own conversions to fp32 taken out: RMSNorm, softmax of
the attention, rotary angles); the script stops if the two differ by more than rounding. Fields of config.json that a
reader may overlook are changed one by one, and the logits must move. Everything is made twice, with the same bytes.

Made with Python 3.11, PyTorch 2.13.0, transformers 5.23.0, safetensors 0.8.0, tokenizers 0.23.3 (pip install
torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 tokenizers==0.23.3 gguf==0.19.0).
"""
import copy
import json
import platform
import sys
import tempfile
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from family_models import CASES, OVERSIGHTS, old_configuration, random_model
from family_numbers import PROMPT, distilled, greedy, half_masks, logits_of, optimised, passes, without_upcasts
from llama_goldens import tokenizer, write_safetensors

SEQUENCES, LENGTH = 2, 19
SEEDS = {  # chosen so that greedy decoding is neither a near-tie nor one token again and again
    "llama3": 20262, "llama-linear": 20263, "mistral": 20264, "qwen2": 20325, "qwen2-window": 20306, "qwen3": 20367,
    "gemma3_text": 20278, "gpt2": 20319, "opt": 20290,
}
SCRIPT = "Tests/TransformersTests/Goldens/family_goldens.py"
RELATIVE = 1e-5  # of the largest value of a tensor
ZERO = 1e-6  # a gradient below this is none: a key's bias without rotation moves nothing
STEPPED = 1e-4  # ten steps of AdamW divide small gradients by their own size and so enlarge what rounding did
OVERSIGHT = 5e-4  # an overlooked field moves some logit by more than this (least: tanh for erf in GELU); compare finer
VARIETY = 6  # different tokens that greedy decoding must append
MARGIN = 1e-2  # greedy tokens chosen by less would test rounding


def write_folder(folder: Path, name: str, model: torch.nn.Module) -> None:
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        model.save_pretrained(place)
        for file in ("config.json", "model.safetensors"):
            (folder / file).write_bytes((Path(place) / file).read_bytes())
    document = json.loads(tokenizer(model.config.vocab_size).to_str())
    (folder / "tokenizer.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    old = old_configuration(name, json.loads((folder / "config.json").read_text()))
    (folder / "config.v4.json").write_text(json.dumps(old, indent=2) + "\n")


def check_folder(folder: Path, model: torch.nn.Module, tokens: torch.Tensor) -> None:
    """What was written is the model, with either configuration."""
    stored = load_file(folder / "model.safetensors")
    if set(stored) != {name for name, _ in model.named_parameters()}:
        raise SystemExit(f"{folder.name}: the file's names are not the parameters' names")
    expected = logits_of(model, tokens)
    for file in folder.glob("config*.json"):
        config = AutoConfig.from_pretrained(file)
        again = AutoModelForCausalLM.from_pretrained(folder, config=config, attn_implementation="eager")
        if not torch.equal(logits_of(again, tokens), expected):
            raise SystemExit(f"{folder.name}: {file.name} gives another model")


def numbers(model: torch.nn.Module, tokens: torch.Tensor, teacher: torch.Tensor,
            masks: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    made = passes(model, tokens)
    made |= {f"adamw.{key}": values for key, values in optimised(model, tokens, {}).items()}
    made |= {f"adamw.masked.{key}": values for key, values in optimised(model, tokens, masks).items()}
    return made | distilled(model, tokens, teacher)


def make(name: str, seed: int, folder: Path) -> list[tuple[str, float, float]]:
    """Writes one case. Returns for each tensor the largest value and the largest difference from double."""
    generator = torch.Generator().manual_seed(seed)
    model, teacher = random_model(CASES[name], generator), random_model(CASES[name], generator)
    tokens = torch.randint(model.config.vocab_size, (SEQUENCES, LENGTH), generator=generator)
    masks = half_masks(model, generator)
    with torch.no_grad():
        teacher_logits = logits_of(teacher, tokens)
    write_folder(folder / name, name, model)
    check_folder(folder / name, model, tokens)
    result = numbers(model, tokens, teacher_logits, masks)
    with without_upcasts():
        exact = numbers(copy.deepcopy(model).double(), tokens, teacher_logits, masks)
    errors = [(key, values.abs().max().item(), (result[key] - values).abs().max().item())
              for key, values in exact.items()]
    result |= {"tokens": tokens.int(), "kl.teacherLogits": teacher_logits}
    result |= {f"mask.{key}": mask for key, mask in masks.items()}
    result |= {key: values.int() if key == "greedy" else values for key, values in greedy(model, tokens).items()}
    variety = min(len(set(row[PROMPT:].tolist())) for row in result["greedy"])
    if result["greedy.margins"].min() < MARGIN or variety < VARIETY:
        raise SystemExit(f"{name}: a greedy token is chosen by {result['greedy.margins'].min():.1e}, and a sequence "
                         f"decodes to {variety} different ones; take another seed")
    metadata = {
        "generator": SCRIPT, "command": f"python {SCRIPT}", "case": name, "seed": str(seed),
        "python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
        "safetensors": safetensors.__version__,
    }
    result = {key: values.contiguous() for key, values in result.items()}
    write_safetensors(folder / f"{name}.golden.safetensors", result, metadata)
    return errors


def report(name: str, errors: list[tuple[str, float, float]], folder: Path) -> bool:
    """Prints the table of a case; whether all of it is rounding."""
    values = load_file(folder / f"{name}.golden.safetensors")
    size = sum(file.stat().st_size for file in (folder / name).iterdir())
    print(f"\n{name}: {size:,} and {(folder / f'{name}.golden.safetensors').stat().st_size:,} bytes, losses of AdamW "
          + ", ".join(f"{key} {losses[0]:.3f} to {losses[-1]:.3f}" for key, losses in values.items()
                      if key.endswith(".losses")) + f", smallest margin {values['greedy.margins'].min():.4f}")
    right = True
    for key, largest, error in errors:
        zero = largest < ZERO and error < ZERO
        fine = zero or error <= (STEPPED if key.startswith("adamw") else RELATIVE) * largest
        right = right and fine
        print(f"  {key:60} largest {largest:9.3e}  error {error:9.3e}  relative {error / max(largest, 1e-300):9.3e}"
              + ("  ZERO" if zero else "" if fine else "  TOO MUCH"))
    return right


@torch.no_grad()
def check_oversights(folder: Path) -> None:
    for name, fields in OVERSIGHTS:
        golden = load_file(folder / f"{name}.golden.safetensors")
        config = type(CASES[name])(**CASES[name].to_dict() | fields)
        model = AutoModelForCausalLM.from_pretrained(folder / name, config=config, attn_implementation="eager")
        change = (logits_of(model, golden["tokens"].long()) - golden["logits"]).abs().max().item()
        print(f"{name} with {', '.join(f'{key} {value}' for key, value in fields.items())}: a logit moves {change:.2e}")
        if change < OVERSIGHT:
            raise SystemExit(f"{name}: its golden cannot tell {fields}")


def files(folder: Path) -> dict[Path, bytes]:
    return {file.relative_to(folder): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        fine = True
        for place in (Path(first), Path(second)):
            for name in CASES:
                errors = make(name, SEEDS[name], place)
                if place == Path(first):
                    fine = report(name, errors, place) and fine
        check_oversights(Path(first))
        made = files(Path(first))
        if made != files(Path(second)):
            raise SystemExit("a second run gives other bytes: nothing written")
        if not fine:
            raise SystemExit("fp32 and double differ by more than rounding: nothing written")
        for path, data in made.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        print(f"\n{len(made)} files, {sum(map(len, made.values())):,} bytes, twice the same")


if __name__ == "__main__":
    main()
