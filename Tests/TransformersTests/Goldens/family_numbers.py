"""What family_goldens.py records of a model: states, losses, gradients, optimiser steps, distillation, decoding.

All of it works in the model's own type, so that the same code gives the double precision to compare with. Losses are
taken from the logits in double, so that what is tested is the model and not a softmax in fp32.
"""
import contextlib
import copy
from collections.abc import Callable

import torch
from torch.nn import functional

from family_models import block_matrices, blocks

STEPS, LEARNING_RATE, TEMPERATURE, PROMPT, APPENDED = 10, 3e-3, 2.0, 8, 16


@contextlib.contextmanager
def without_upcasts():
    """Keeps double double: transformers takes RMSNorm, the attention's softmax and the rotary angles to fp32."""
    to, single, softmax = torch.Tensor.to, torch.Tensor.float, functional.softmax

    def kept(values, *arguments, **named):
        wanted = list(arguments) + list(named.values())
        return values if values.dtype == torch.float64 and torch.float32 in wanted else to(values, *arguments, **named)

    def plain(values, dim=None, dtype=None, **named):
        return softmax(values, dim=dim, dtype=None if values.dtype == torch.float64 else dtype, **named)

    torch.Tensor.to, functional.softmax = kept, plain
    torch.Tensor.float = lambda values: values if values.dtype == torch.float64 else single(values)
    try:
        yield
    finally:
        torch.Tensor.to, torch.Tensor.float, functional.softmax = to, single, softmax


def logits_of(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    return model(input_ids=tokens, use_cache=False).logits


def token_losses(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits[:, :-1].double().transpose(1, 2), tokens[:, 1:], reduction="none")


def named_gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.grad for name, weight in model.named_parameters()}


# --- Forward and backward ------------------------------------------------------------------------


def passes(model: torch.nn.Module, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """hidden: what enters the first block and what leaves each; the final norm comes after the last."""
    states: list[torch.Tensor] = []

    def entering(_, arguments, named):
        states.append(arguments[0] if arguments else named["hidden_states"])

    def leaving(module, arguments, output):
        states.append(output[0] if isinstance(output, tuple) else output)

    hooks = [blocks(model)[0].register_forward_pre_hook(entering, with_kwargs=True)]
    hooks += [block.register_forward_hook(leaving) for block in blocks(model)]
    logits = logits_of(model, tokens)
    for hook in hooks:
        hook.remove()
    states[-1].retain_grad()
    losses = token_losses(logits, tokens)
    model.zero_grad()
    losses.mean().backward()
    made = {"hidden": torch.stack(states), "logits": logits, "losses": losses, "hiddenGradient": states[-1].grad}
    made |= {f"gradient.{name}": gradient for name, gradient in named_gradients(model).items()}
    return {name: values.detach().clone() for name, values in made.items()}


# --- AdamW ---------------------------------------------------------------------------------------


def optimised(model: torch.nn.Module, tokens: torch.Tensor, masks: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Losses before each step and norms of the gradient before it is clipped. Masked weights start and stay zero."""
    model = copy.deepcopy(model)
    weights = dict(model.named_parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [weight for weight in weights.values() if weight.ndim >= 2], "weight_decay": 0.1},
         {"params": [weight for weight in weights.values() if weight.ndim == 1], "weight_decay": 0.0}],
        lr=LEARNING_RATE, betas=(0.9, 0.95), eps=1e-8, foreach=False)

    @torch.no_grad()
    def mask(part: Callable[[torch.Tensor], torch.Tensor]) -> None:
        for name, kept in masks.items():
            part(weights[name]).mul_(kept)

    losses, norms = [], []
    mask(lambda weight: weight)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = token_losses(logits_of(model, tokens), tokens).mean()
        loss.backward()
        mask(lambda weight: weight.grad)
        norms.append(torch.nn.utils.clip_grad_norm_(weights.values(), 1.0, foreach=False).double())
        losses.append(loss.detach())
        optimizer.step()
        mask(lambda weight: weight)
    return {"losses": torch.stack(losses), "gradientNorms": torch.stack(norms)}


def half_masks(model: torch.nn.Module, generator: torch.Generator) -> dict[str, torch.Tensor]:
    weights = dict(model.named_parameters())
    return {name: torch.randint(2, weights[name].shape, generator=generator, dtype=torch.uint8)
            for name in block_matrices(model)}


# --- Distillation --------------------------------------------------------------------------------


def distilled(model: torch.nn.Module, tokens: torch.Tensor, teacher: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean over all tokens of KL(softmax(teacher / T) || softmax(student / T)), without the factor T^2."""
    model.zero_grad()
    student = torch.log_softmax(logits_of(model, tokens).double() / TEMPERATURE, -1)
    target = torch.log_softmax(teacher.double() / TEMPERATURE, -1)
    loss = (target.exp() * (target - student)).sum(-1).mean()
    loss.backward()
    matrices = block_matrices(model)
    chosen = [next(iter(dict(model.named_parameters()))), matrices[0], matrices[-1]]
    made = {"kl.loss": loss.detach().reshape(1)}
    return made | {f"kl.gradient.{name}": named_gradients(model)[name].clone() for name in chosen}


# --- Greedy decoding -----------------------------------------------------------------------------


@torch.no_grad()
def greedy(model: torch.nn.Module, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """What generate appends to the first tokens; held against decoding without a cache."""
    prompt = tokens[:, :PROMPT]
    made = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=APPENDED)
    margins, again = [], prompt
    for _ in range(APPENDED):
        top = logits_of(model, again)[:, -1].topk(2)
        margins.append(top.values[:, 0] - top.values[:, 1])
        again = torch.cat([again, top.indices[:, :1]], 1)
    if not torch.equal(made, again):
        raise SystemExit("greedy decoding with a cache differs from decoding without one")
    return {"greedy": made, "greedy.margins": torch.stack(margins, 1)}
