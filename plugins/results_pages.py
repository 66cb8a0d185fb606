"""The pages that results.py, teaching.py and recipes.py write from what they measured: RESULTS.md, and the section
"Measured" of every plugin's README."""

import json

from results_rows import METHODS, STRUCTURES

ON_PAGES = ["0.1", "0.25", "0.5", "0.6", "0.7", "0.8", "2:4", "4:8"]
MEASURED = "\n## Measured\n"
ROWS = METHODS | STRUCTURES


def number(value):
    """A figure with four significant digits; a string where it was too large for JSON."""
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if value < 10000 else f"{value:.2e}"


def render(folder, cells):
    """Writes all pages into `folder`."""
    write_results(folder)
    for page in sorted(folder.glob("*/README.md")):
        text = page.read_text()
        kept = text.partition(MEASURED)[0].rstrip("\n") + "\n"
        rows = [row for row, request in ROWS.items() if mentions(request, page.parent.name)]
        new = kept + measured(cells, rows)
        if new != text:
            page.write_text(new)


def write_results(folder):
    """Writes RESULTS.md from all that was measured."""
    def read(name):
        store = folder / name
        return [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []

    text = results(read("results.jsonl")) + taught(read("teaching.jsonl")) + compared(read("recipes.jsonl"))
    (folder / "RESULTS.md").write_text("\n".join(text) + "\n")


def mentions(request, plugin):
    return plugin in (request.get(part) for part in ("plugin", "refinement", "allocation", "compensation"))


def results(cells):
    text = [
        "# Results",
        "",
        "Perplexity on the evaluation text (lower is better), and the mean KL divergence of the dense model's distributions",
        "of the next token from the pruned model's, in nats. Every cell starts from the dense model; only the linear maps of",
        "the layers are pruned. Methods that use no statistics of layers prune all at once in any case. The best of each",
        "column is bold. Written by `results.py`; `results_rows.py` says what each row asks for, `results.jsonl` has every",
        "figure with the time that it took.",
    ]
    for model, setting in dict.fromkeys((cell["model"], cell["setting"]) for cell in cells):
        chosen = [cell for cell in cells if (cell["model"], cell["setting"]) == (model, setting)]
        dense = next((cell for cell in chosen if cell["method"] == "dense"), None)
        text += ["", f"## {model}, {setting}"]
        if dense:
            text += ["", f"Dense: perplexity {number(dense['perplexity'])}."]
        found = {(cell["method"], cell["target"]): cell for cell in chosen if cell["method"] != "dense"}
        for quantity, title in (("perplexity", "Perplexity"), ("meanKL", "Mean KL to the dense model, nats")):
            text += ["", f"### {title}", ""] + table(found, quantity)
    return text


def taught(points):
    """What teaching gave back, a curve a row; nothing if nothing was measured."""
    text = []
    for model, setting in dict.fromkeys((point["model"], point["setting"]) for point in points):
        chosen = [point for point in points if (point["model"], point["setting"]) == (model, setting)]
        steps = sorted({point["step"] for point in chosen})
        text += [
            "", f"## {model}, cut and taught: {setting}", "",
            "Perplexity on the evaluation text, mean KL from the dense model in nats, and the share of positions with the",
            "same most probable token, at steps of the run. Written by `teaching.py`; `teaching.jsonl` has tokens and times."]
        for quantity, title in (("perplexity", "Perplexity"), ("meanKL", "Mean KL"), ("sameTopToken", "Same top token")):
            text += ["", f"### {title}", "", "| | " + " | ".join(f"step {step}" for step in steps) + " |",
                     "|---" * (len(steps) + 1) + "|"]
            for row in dict.fromkeys((point["cut"], point["lesson"]) for point in chosen):
                found = {point["step"]: point[quantity] for point in chosen if (point["cut"], point["lesson"]) == row}
                text.append(f"| {row[0]}; {row[1]} | " + " | ".join(
                    number(found[step]) if step in found else "" for step in steps) + " |")
    return text


def compared(runs):
    """What recipes came to, one against the other; nothing if nothing was measured."""
    text = []
    for steps in sorted({run["steps"] for run in runs}):
        chosen = [run for run in runs if run["steps"] == steps]
        sparsities, seeds = sorted({run["sparsity"] for run in chosen}), {run["seed"] for run in chosen}
        text += [
            "", f"## Built-in model, recipes: {steps} steps of 2048 tokens in all", "",
            "Perplexity on the evaluation text, and mean KL from the dense model in nats; magnitude, forward-kl from the dense",
            f"model, {'one run' if len(seeds) == 1 else f'means of {len(seeds)} runs'} each. Rounds prune and teach in turns. A lottery ticket is the mask that such rounds",
            "find when the first weights come back after each; it is then taught from the first weights, as are random masks with",
            "as many weights in each tensor. Written by `recipes.py`; `recipes.jsonl` has every run.", "",
            f"Dense: perplexity {number(chosen[0]['dense'])}. The lessons are given on a text of the evaluation's kind, which the "
            "dense model has not", "learned: a student may leave it behind there, and KL tells more."]
        for quantity, title in (("perplexity", "Perplexity"), ("meanKL", "Mean KL")):
            text += ["", f"### {title}", "", "| | " + " | ".join(map(str, sparsities)) + " |",
                     "|---" * (len(sparsities) + 1) + "|"]
            for row in dict.fromkeys(run["row"] for run in chosen):
                found = {sparsity: [run[quantity] for run in chosen if (run["row"], run["sparsity"]) == (row, sparsity)]
                         for sparsity in sparsities}
                text.append(f"| {row} | " + " | ".join(
                    number(sum(values) / len(values)) if values else "" for values in found.values()) + " |")
    return text


def table(found, quantity):
    """Rows in the order of results_rows.py, columns ratios before patterns."""
    targets = sorted({target for _, target in found}, key=lambda target: (":" in target, target))
    best = {target: min((cell[quantity] for (_, t), cell in found.items()
                         if t == target and cell["sparsity"] and not isinstance(cell[quantity], str)), default=None)
            for target in targets}
    lines = ["| | " + " | ".join(targets) + " |", "|---" * (len(targets) + 1) + "|"]
    for row in sorted({row for row, _ in found}, key=list(ROWS).index):
        lines.append(f"| {row} | " + " | ".join(
            entry(found.get((row, target)), quantity, best[target]) for target in targets) + " |")
    return lines


def entry(cell, quantity, best):
    """What a table has for a cell: nothing if it was not measured, the best in bold."""
    if cell is None:
        return ""
    if cell["sparsity"] == 0:
        return "none cut"
    return f"**{number(cell[quantity])}**" if cell[quantity] == best else number(cell[quantity])


def measured(cells, rows):
    """The section of a plugin's page: perplexity of the rows that use it; nothing if there are none."""
    chosen = [cell for cell in cells if cell["method"] in rows and cell["target"] in ON_PAGES]
    text = ""
    for model, setting in dict.fromkeys((cell["model"], cell["setting"]) for cell in chosen):
        found = {(cell["method"], cell["target"]): cell for cell in chosen
                 if (cell["model"], cell["setting"]) == (model, setting)}
        targets = sorted({target for _, target in found}, key=lambda target: (":" in target, target))
        text += f"\n{model}, {setting}:\n\n| perplexity | " + " | ".join(targets) + " |\n"
        text += "|---" * (len(targets) + 1) + "|\n"
        for row in (row for row in rows if any((row, target) in found for target in targets)):
            entries = [entry(found.get((row, target)), "perplexity", None) for target in targets]
            text += f"| {row} | " + " | ".join(entries) + " |\n"
    return f"{MEASURED}{text}\nAll methods beside one another: [RESULTS.md](../RESULTS.md).\n" if text else ""
