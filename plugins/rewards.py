#!/usr/bin/env python3
"""Measures what rewards do on the arithmetic task, over the daemon's pipe, and prints it as tables:

    plugins/rewards.py --espalier .build/release/espalier

1. The built-in model sees sums for some steps (cross-entropy), then learns from the reward exact-match alone.
2. What it became is pruned by MAMA with and without the reward term; what is left of the reward.

The reward of a revision is the mean over sampled completions at temperature 1; greedy is the share of right answers
without chance. Everything is seeded.
"""

import argparse

from results import Daemon

SUMS = 100


def learn(daemon, arguments, name, **more):
    """A run to its end: the metrics of its steps and the revision it became."""
    rate = arguments.rate if "policy" in more else arguments.imitation_rate
    daemon.call("distill/start", {
        "name": name, "student": "sapling", "dataset": "sums", "optimizer": {"weightDecay": 0.01, "beta2": 0.999},
        "schedule": {"shape": "constant", "learningRate": rate, "warmupSteps": 0}, "explosion": 0, **more})
    metrics = []
    for _ in range(more["steps"]):
        metrics.append(daemon.call("distill/step", {"run": name, "steps": 1})["metrics"])
    revision = daemon.call("distill/commit", {"run": name})["revision"]
    daemon.call("distill/stop", {"run": name})
    return metrics, revision


def judge(daemon, revision, arguments):
    """Mean reward of sampled completions, and the share of right answers without chance."""
    daemon.call("revision/checkout", {"model": "sapling", "target": revision})
    try:
        sampled = daemon.call("importance/score", reward_request(arguments, modules=["*.0.self_attn.k_proj.*"]))
        daemon.call("importance/discard", {"scores": sampled["scores"]})
        reward = sampled["reward"]["meanReward"]
    except RuntimeError as error:
        if "same reward" not in str(error):
            raise
        reward = float("nan")
    right = 0
    prompts = [f"{a}+{b}=" for a in range(10) for b in range(10)]
    for first in range(0, len(prompts), 50):
        some = prompts[first:first + 50]
        answer = daemon.call("model/generate", {"model": "sapling", "prompts": some, "maxTokens": 4})
        for prompt, completion in zip(some, answer["completions"]):
            a, b = prompt[:-1].split("+")
            right += completion["text"].strip() == str(int(a) + int(b))
    return reward, right / len(prompts)


def reward_request(arguments, **more):
    return {
        "model": "sapling", "plugin": "reward", "dataset": "sums",
        "reward": {"rewards": ["exact-match"], "completions": arguments.members, "maxTokens": 4, "seed": 11}, **more}


def learning(daemon, arguments):
    _, seen = learn(
        daemon, arguments, "imitate", objectives=["cross-entropy"], steps=arguments.imitation, batch=32, accumulation=1)
    before = judge(daemon, seen, arguments)
    metrics, learned = learn(daemon, arguments, "rewards", steps=arguments.steps, policy={
        "rewards": ["exact-match"], "prompts": arguments.prompts, "completions": arguments.members, "maxTokens": 4})
    after = judge(daemon, learned, arguments)
    print(f"\n| {arguments.steps} steps of {arguments.prompts} prompts x {arguments.members} | reward | greedy |\n|---|---|---|")
    print(f"| after {arguments.imitation} steps of imitation | {before[0]:.3f} | {before[1]:.2f} |")
    print(f"| after learning from rewards | {after[0]:.3f} | {after[1]:.2f} |")
    rewards = [next(part["value"] for part in step["rewards"] if part["name"] == "reward") if isinstance(
        step["rewards"], list) else step["rewards"]["reward"] for step in metrics]
    means = [sum(rewards[first:first + 10]) / len(rewards[first:first + 10]) for first in range(0, len(rewards), 10)]
    print("\nmean reward of ten steps: " + " ".join(f"{mean:.2f}" for mean in means))
    return learned


def pruning(daemon, arguments, learned):
    daemon.call("revision/checkout", {"model": "sapling", "target": learned})
    text = "".join(f"{a}+{b}={a + b}\n" for a in range(10) for b in range(10))
    daemon.call("dataset/load", {"model": "sapling", "text": text, "sequenceLength": 64, "name": "text"})
    reward = daemon.call("importance/score", reward_request(arguments))["scores"]
    rows = {"magnitude": {"plugin": "magnitude"}, "reward alone": None}
    for data, name in (({}, "MAMA"), ({"dataset": "text"}, "MAMA, calibrated on sums")):
        rows[name] = {"plugin": "mama", **data}
        for weight in arguments.weights:
            rows[f"{name}, reward x {weight:g}"] = {
                "plugin": "mama", **data, "terms": {"reward": reward}, "parameters": {"rewardWeight": weight}}
    print(f"\n| pruned to {arguments.sparsity:.0%} | reward | greedy |\n|---|---|---|")
    dense = judge(daemon, learned, arguments)
    print(f"| not at all | {dense[0]:.3f} | {dense[1]:.2f} |")
    for name, request in rows.items():
        daemon.call("revision/checkout", {"model": "sapling", "target": learned})
        scores = daemon.call("importance/score", {"model": "sapling", **request})["scores"] if request else reward
        pruned = daemon.call("mask/apply", {
            "model": "sapling", "scores": scores, "sparsity": arguments.sparsity, "group": "row"})
        found = judge(daemon, pruned["revision"], arguments)
        print(f"| {name} | {found[0]:.3f} | {found[1]:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--espalier", required=True, help="the program")
    parser.add_argument("--imitation", type=int, default=60, help="steps of cross-entropy before (%(default)s)")
    parser.add_argument("--imitation-rate", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, default=120, help="steps of learning from rewards (%(default)s)")
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--sparsity", type=float, default=0.5)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.3, 1, 3], help="of the reward term")
    arguments = parser.parse_args()
    daemon = Daemon(arguments.espalier)
    daemon.call("model/load", {"source": "builtin:sapling", "name": "sapling"})
    daemon.call("dataset/load", {
        "path": "builtin:arithmetic", "model": "sapling", "sequenceLength": 16, "name": "sums",
        "task": {"count": SUMS, "seed": 1}})
    learned = learning(daemon, arguments)
    pruning(daemon, arguments, learned)


if __name__ == "__main__":
    main()
