"""Writes the goldens of the tokenizer tests: tokenizer_goldens.py [SMOLLM2_TOKENIZER_JSON]

tiny-tokenizer.json   a byte-level BPE tokenizer of 600 tokens, trained on the text below
tiny-goldens.json     for several variants of it: strings and the ids that Hugging Face's `tokenizers` gives
smollm2-goldens.json  the same for SmolLM2's own tokenizer (only with the argument)

Made with tokenizers 0.23.3. Deterministic: running it again changes nothing.
"""
import json
import os
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))

# Written for this purpose; no one else's text.
TEXT = """
An espalier is a tree that is trained against a wall. The gardener ties the young branches to a frame of wire, cuts
what grows forward, and keeps what grows along the wall. After five years the tree is flat, bears fruit early, and is
easy to pick. It isn't a natural shape, but it's a healthy one: light reaches every leaf, and the wall gives back at
night the warmth that it took in during the day. Pears take to it best; apples don't mind; cherries won't have it at
all. Pruning is done twice a year. In winter, when the tree sleeps, one sees its structure and cuts for form. In
summer, when it grows, one cuts for fruit: every shoot that has 8 or 10 leaves is taken back to 3, and in 2 or 3 weeks
it answers with a bud instead of a branch. He who cuts too much gets wood in place of pears. He who cuts nothing gets
a bush. They'll both say that they've done as the book said, and I'd say that the book was about another tree; we're
all gardeners of one tree. The tools are few: a knife, a saw, string, 12 metres of wire for each row, and patience for
1825 days. Zum Beispiel wächst ein Birnbaum an der Südmauer schöner als im Garten. L'été, les poires mûrissent au mur,
où la chaleur reste. Дерево растёт у стены, и стена греет его ночью. Träd växer långsamt; människor har bråttom.
"""

STRINGS = [
    "", " ", "  ", "\n", "a", "The tree", " the wall", "trees and walls",
    "It isn't; they'll, I'd, we've, I'm, you're, 'S 'LL",
    "1825 days, 12 metres, x3y 007", "wächst schöner Дерево", "été cafe\u0301 \u0301x", "木を切る", "עץ وجدار पेड़ ต้นไม้",
    "🌳🌲 👩🏽‍🌾 🏳️‍🌈", "a   b", "a    ", "   a", "line one\nline two\r\n\r\n  indented\t\ttabs\n\n\n",
    "no\u00a0break \u2003em \u3000wide \u180emongol \u200bzero \u0085nel \ufeffbom", "\u0000\u0001\u001b[0m\u007f",
    "²³ ¼ Ⅷ ٣٤ ۵ 一二 1²3", "ſ'ſ K'K ﬁ'ﬁ ß", "$%&!?...---___<<>>", "<|end|>", "a<|end|>b", "<|end|><|end|> <|end|>\n",
    "<|end|", "<|end|>>", "x <|pad|> y", "  <|strip|>  word", "a <|strip|><|strip|> b", "\u3000<|strip|>\u2003\n.",
    "<|left|> x <|left|> y",
    "<|right|> x <|right|>  y", "word <|word|> words", "prune<|word|>prune", "a" * 100, "pear" * 40, " " * 130,
    "\n" * 9 + "x",
    "ab\U0010ffff\ue000\ufdd0z", "The gardener cuts for form. " * 3, "i\u0307İıI", "don’t “quote”", "w\u00adw",
    "0123456789" * 4, "a1 b22 c333 d4444 e55555",
] + ["".join(chr(c) for c in range(start, start + 64)) for start in range(0, 0x200, 64)] + [
    "".join(chr(c) for c in range(0x2000, 0x2070)), "".join(chr(c) for c in range(0x3000, 0x3020)),
]

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def byte_level(prefix=False, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


def pre(*steps):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}}


def added(id, content, **flags):
    token = {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
    return {**token, **flags}


def template(before, after, ids):
    around = lambda names: [{"SpecialToken": {"id": n, "type_id": 0}} for n in names]
    a, b = ({"Sequence": {"id": x, "type_id": 0}} for x in "AB")
    return {"type": "TemplateProcessing", "single": around(before) + [a] + around(after),
            "pair": around(before) + [a] + around(after) + [b],
            "special_tokens": {n: {"id": n, "ids": [ids[n]], "tokens": [n]} for n in before + after}}


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[AddedToken("<|end|>", special=True), AddedToken("<|pad|>", special=True)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    return json.loads(tokenizer.to_str())


def variants(base):
    """Name, members of the document to replace, members of its model to replace."""
    size = len(base["model"]["vocab"])
    end, pad = base["added_tokens"]
    ids = {"<|end|>": 0, "<|pad|>": 1}
    more = [end, pad, added(size, "<|strip|>", lstrip=True, rstrip=True), added(size + 1, "<|left|>", lstrip=True),
            added(size + 2, "<|right|>", rstrip=True), added(size + 3, "<|word|>", special=False, normalized=True),
            added(size + 4, "<|word", special=False), added(size + 5, " le", special=False, normalized=True)]
    ascii_only = {t: i for t, i in base["model"]["vocab"].items() if i < 2 or len(t) > 1 or t < "\x7f"}
    ascii_merges = [m for m in base["model"]["merges"] if all(p in ascii_only for p in m)]
    plain = byte_level(regex=False)
    gaps = {"vocab": ascii_only, "merges": ascii_merges}
    yield "plain", {}, {}
    yield "prefix space", {"pre_tokenizer": byte_level(prefix=True)}, {}
    yield "single digits", pre(digits(True), byte_level()), {}
    yield "runs of digits", pre(digits(False), byte_level(prefix=True)), {}
    begin = {"type": "Sequence", "processors": [byte_level(), template(["<|end|>"], [], ids)]}
    yield "llama 3", {**pre(split(LLAMA3), plain), "post_processor": begin}, {"ignore_merges": True}
    yield "qwen 2", {**pre(split(QWEN2), plain), "post_processor": byte_level()}, {}
    yield "no expression", {"pre_tokenizer": plain}, {}
    yield "empty matches", pre(split(r"e?|(?=r)|\s*"), plain), {}
    around = r"(?<=t)h|(?<!r)e|^a|o$|\p{Lu}\p{Ll}+|\p{Han}+|\x20|[\x{41}-\x{43}]"
    yield "look around", pre(split(around), plain), {}
    yield "merges as text", {}, {"merges": [" ".join(m) for m in base["model"]["merges"]]}
    yield "around", {"post_processor": template(["<|end|>", "<|pad|>"], ["<|end|>"], ids)}, {}
    yield "added tokens", {"added_tokens": more}, {}
    yield "bytes without token", {}, gaps
    yield "unknown token", {}, {**gaps, "unk_token": "<|pad|>"}
    yield "fused unknown token", {}, {**gaps, "unk_token": "<|pad|>", "fuse_unk": True}


def goldens(tokenizer, strings):
    for text in strings:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        yield {"text": text, "ids": ids, "whole": tokenizer.encode(text).ids,
               "decoded": tokenizer.decode(ids, skip_special_tokens=False),
               "skipped": tokenizer.decode(ids, skip_special_tokens=True),
               # Cut in the middle: halves of characters decode to replacement characters.
               "half": tokenizer.decode(ids[:len(ids) // 2], skip_special_tokens=False)}


def compact(golden):
    """Leaves out what says nothing new."""
    small = {"text": golden["text"], "ids": golden["ids"]}
    if golden["whole"] != golden["ids"]: small["whole"] = golden["whole"]
    if golden["decoded"] != golden["text"]: small["decoded"] = golden["decoded"]
    if golden["skipped"] != golden["decoded"]: small["skipped"] = golden["skipped"]
    small["half"] = golden["half"]
    return small


def write(name, document, **options):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=True, separators=(",", ":"), **options)
        file.write("\n")


def main():
    base = train()
    write("tiny-tokenizer.json", base)
    out = []
    for name, replace, model in variants(base):
        document = {**base, **replace, "model": {**base["model"], **model}}
        tokenizer = Tokenizer.from_str(json.dumps(document))
        # Every string for the plain tokenizer; for the others those that are not long.
        strings = STRINGS if name == "plain" else [text for text in STRINGS if len(text) < 60]
        decoding = ("half", "decoded", "skipped")
        # The model's large members are told by their names; the test makes them from the tiny tokenizer.
        recipe = {k: v for k, v in model.items() if k not in ("vocab", "merges")}
        if name == "merges as text": recipe["merges"] = "text"
        if "vocab" in model: recipe["vocab"] = "ascii"
        out.append({"name": name, "replace": replace, "model": recipe,
                    "cases": [{k: v for k, v in compact(g).items() if name == "plain" or k not in decoding}
                              for g in goldens(tokenizer, strings)]})
    write("tiny-goldens.json", out)

    if len(sys.argv) > 1:
        tokenizer = Tokenizer.from_file(sys.argv[1])
        folder = [compact(g) for g in goldens(tokenizer, STRINGS)]
        # The GGUF file of the same model names the pre-tokenizer "smollm", which cuts digits out first.
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
        write("smollm2-goldens.json", {"folder": folder, "gguf": [compact(g) for g in goldens(tokenizer, STRINGS)]})


if __name__ == "__main__":
    main()
