"""Writes family-goldens.json: small tokenizers of every family that Espalier reads, and what `tokenizers` makes of texts.

    python3 family_goldens.py

texts     what all variants are about; a case has the index of its text
bases     three tokenizers of a few hundred tokens, trained on the text of tokenizer_goldens.py: SentencePiece BPE with byte
          fallback (with the scores and types that a GGUF file has), unigram with a character map and byte fallback, and the
          byte-level tiny-tokenizer.json beside this file
variants  which base, what is replaced in its document, and cases: texts with ids, ids with decodings

Made with tokenizers 0.23.3, sentencepiece 0.2.3 and protobuf of transformers 5.23. Deterministic.
"""
import io
import json
import os
import random
import tempfile

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer

from hard_strings import ALL, SHORT
from tokenizer_goldens import TEXT, added, byte_level, pre, split, template, QWEN2

HERE = os.path.dirname(os.path.abspath(__file__))
SPACE = "\u2581"

# A character map small enough to commit: what T5's does, for a few characters.
RULES = {"\t": " ", "\n": " ", "\r": " ", "\r\n": " ", "\u00a0": " ", "\u3000": " ", "\u0001": "", "\u200b": "", "\ufb01": "fi",
         "\uff21": "A", "\u2460": "1", "e\u0301": "\u00e9", "a\u0308": "\u00e4", "\u212b": "\u00c5", "\u33a5": "m3", "\u2026": "...",
         "\u00bc": "1\u20444", "\u1e9b\u0323": "\u1e69", "\u0344": "\u0308\u0301"}


def train(**options):
    with tempfile.TemporaryDirectory() as folder:
        rules = os.path.join(folder, "rules.tsv")
        with open(rules, "w") as file:
            for source, target in RULES.items():
                file.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
        model = io.BytesIO()
        if options.pop("rules", False): options["normalization_rule_tsv"] = rules
        else: options["normalization_rule_name"] = "identity"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT.strip().split("\n")), model_writer=model, byte_fallback=True, num_threads=1,
            remove_extra_whitespaces=False, minloglevel=2, **options)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto


def merges(vocabulary, scores):
    """Every way to make a token of two, the best first, as `transformers` derives them."""
    found = []
    for token, score in scores.items():
        parts = [(token[:i], token[i:], score) for i in range(1, len(token))]
        parts = [p for p in parts if p[0] in vocabulary and p[1] in vocabulary]
        found += sorted(parts, key=lambda p: (vocabulary[p[0]], vocabulary[p[1]]))
    return [list(m[:2]) for m in sorted(found, key=lambda m: (m[2], len(m[0]), len(m[1])), reverse=True)]


def document(model, added_tokens, **parts):
    empty = dict.fromkeys(["normalizer", "pre_tokenizer", "post_processor", "decoder"])
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens, **empty, **parts, "model": model}


def bpe_base():
    proto = train(model_type="bpe", vocab_size=520, character_coverage=0.995, user_defined_symbols=["<word>", "\u2581\u2581"])
    vocabulary = {p.piece: i for i, p in enumerate(proto.pieces)}
    scores = {p.piece: p.score for p in proto.pieces}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocabulary,
             "merges": merges(vocabulary, scores)}
    tokens = [added(i, p.piece, special=p.type != 4) for i, p in enumerate(proto.pieces) if p.type in (2, 3, 4)]
    gguf = {"scores": [p.score for p in proto.pieces], "types": [p.type for p in proto.pieces]}
    return document(model, tokens), gguf


def unigram_base():
    import base64
    proto = train(model_type="unigram", vocab_size=460, character_coverage=0.99, rules=True, pad_id=0, eos_id=1, unk_id=2,
                  bos_id=-1, hard_vocab_limit=False)
    model = {"type": "Unigram", "unk_id": 2, "vocab": [[p.piece, p.score] for p in proto.pieces], "byte_fallback": True}
    size = len(proto.pieces)
    tokens = [added(0, "<pad>"), added(1, "</s>"), added(2, "<unk>"), added(size, "<extra_id_0>")]
    map = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    gguf = {"scores": [p.score for p in proto.pieces], "types": [p.type for p in proto.pieces],
            "map": list(proto.normalizer_spec.precompiled_charsmap)}
    return document(model, tokens, normalizer={"type": "Precompiled", "precompiled_charsmap": map}), gguf


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def replace(source, target, kind="String"):
    return {"type": "Replace", "pattern": {kind: source}, "content": target}


def metaspace(scheme="always", splits=True):
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": splits}


def cut(pattern, behavior, inverted=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": inverted}


PREPEND = {"type": "Prepend", "prepend": SPACE}
FALLBACK = [replace(SPACE, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
LLAMA = {"normalizer": sequence("normalizers", PREPEND, replace(" ", SPACE)), "decoder": sequence("decoders", *FALLBACK, STRIP),
         "post_processor": template(["<s>"], [], {"<s>": 1})}
GEMMA = {"normalizer": replace(" ", SPACE), "pre_tokenizer": cut(" ", "MergedWithPrevious", kind="String"),
         "decoder": sequence("decoders", *FALLBACK)}
BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def variants(bases):
    """Name, base, members of the document to replace, members of the model to replace, whether all strings are used."""
    size = {name: max(t["id"] for t in base["added_tokens"]) for name, base in bases.items()}
    plain = byte_level(regex=False)
    spm = bases["spm"]["added_tokens"]
    more = len(bases["spm"]["model"]["vocab"])
    yield "llama, legacy", "spm", LLAMA, {}, False
    yield "llama", "spm", {**LLAMA, "normalizer": None, "pre_tokenizer": metaspace("first", False)}, {}, True
    yield "mistral, no space", "spm", {**LLAMA, "normalizer": None, "pre_tokenizer": metaspace("never", False),
                                       "decoder": sequence("decoders", *FALLBACK)}, {}, False
    yield "gemma", "spm", GEMMA, {}, True
    yield "no fallback", "spm", GEMMA, {"byte_fallback": False}, False
    yield "no fallback, not fused", "spm", GEMMA, {"byte_fallback": False, "fuse_unk": False}, False
    yield "no fallback, no unknown", "spm", GEMMA, {"byte_fallback": False, "unk_token": None}, False
    for source, target in [("The", "D"), ("T", ""), ("T", "Tt")]:
        yield f"first, {source} is {target}", "spm", {**GEMMA, "normalizer": replace(source, target),
                                                      "pre_tokenizer": metaspace("first")}, {}, False
    yield "ignore merges", "spm", {**GEMMA, "pre_tokenizer": metaspace()}, {"ignore_merges": True}, False
    words = spm + [added(more, "wall", single_word=True, special=False), added(more + 1, " Tree", normalized=True, special=False),
                   added(more + 2, "</r>", rstrip=True, lstrip=True), added(more + 3, "quick b", normalized=True, single_word=True)]
    yield "added tokens", "spm", {**LLAMA, "added_tokens": words}, {}, False
    yield "T5", "unigram", {"pre_tokenizer": sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace()),
                            "decoder": metaspace(), "post_processor": template([], ["</s>"], {"</s>": 1})}, {}, True
    yield "T5, no fallback", "unigram", {
        "added_tokens": bases["unigram"]["added_tokens"][:3], "decoder": metaspace(),
        "pre_tokenizer": sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace()),
        "post_processor": template([], ["</s>"], {"</s>": 1})}, {"byte_fallback": False}, True
    yield "XLM-R", "unigram", {
        "normalizer": sequence("normalizers", bases["unigram"]["normalizer"], replace(" {2,}", " ", "Regex"),
                               {"type": "Strip", "strip_left": False, "strip_right": True}),
        "pre_tokenizer": metaspace(), "decoder": metaspace(),
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<pad>", 0], "trim_offsets": True,
                           "add_prefix_space": True}}, {}, False
    yield "unigram, first", "unigram", {"pre_tokenizer": metaspace("first"), "decoder": metaspace("never")}, {}, False
    yield "unigram, whole text", "unigram", {"normalizer": LLAMA["normalizer"], "decoder": LLAMA["decoder"]}, {}, False
    yield "unigram, no fallback", "unigram", {"pre_tokenizer": metaspace(), "decoder": metaspace()}, {"byte_fallback": False}, False
    yield "qwen", "bytes", {"normalizer": {"type": "NFC"}, **pre(split(QWEN2), plain)}, {}, True
    for form in ["NFD", "NFKC", "NFKD"]: yield form, "bytes", {"normalizer": {"type": form}}, {}, False
    yield "lower case", "bytes", {"normalizer": sequence("normalizers", {"type": "Lowercase"},
                                  {"type": "Strip", "strip_left": True, "strip_right": True})}, {}, False
    yield "OPT", "bytes", {"post_processor": template(["<|end|>"], [], {"<|end|>": 0})}, {}, False
    yield "BERT edges", "bytes", {"post_processor": {"type": "BertProcessing", "sep": ["<|end|>", 0], "cls": ["<|pad|>", 1]}}, {}, False
    falcon = [{"type": "Punctuation", "behavior": "Contiguous"}, byte_level(), {"type": "Digits", "individual_digits": False},
              cut("[0-9][0-9][0-9]", "Isolated")]
    yield "falcon", "bytes", pre(*falcon), {}, False
    yield "byte-level, fallback", "bytes", {}, {"byte_fallback": True}, False
    for behavior in BEHAVIORS:
        for inverted in [False, True]:
            name = behavior + (", inverted" if inverted else "")
            yield "regex " + name, "bytes", pre(cut(r"\s+|e*", behavior, inverted), plain), {}, False
            yield "text " + name, "bytes", pre(cut("r", behavior, inverted, "String"), plain), {}, False
        yield "punctuation " + behavior, "bytes", pre({"type": "Punctuation", "behavior": behavior}, plain), {}, False
    yield "whitespace", "bytes", pre({"type": "Whitespace"}, plain), {}, False
    yield "whitespace split", "bytes", pre({"type": "WhitespaceSplit"}, plain), {}, False
    yield "replace", "bytes", {"normalizer": sequence("normalizers", replace("e", "\u00e9\u00e9"), replace("x+", "-", "Regex"),
                                                      replace("tt", ""))}, {}, False
    stripping = sequence("decoders", replace(SPACE, " "), {"type": "ByteFallback"}, {"type": "Fuse"},
                         {"type": "Strip", "content": "e", "start": 2, "stop": 2}, replace("r", "RR"))
    yield "strip", "spm", {**GEMMA, "decoder": stripping}, {}, False
    yield "strip tokens", "spm", {**GEMMA, "decoder": sequence("decoders", {"type": "Strip", "content": "e", "start": 1, "stop": 0},
                                  {"type": "Strip", "content": "t", "start": 0, "stop": 1})}, {}, False
    yield "replace behind fuse", "spm", {**GEMMA, "decoder": sequence("decoders", *FALLBACK, replace("er", "ER"))}, {}, False
    yield "no decoder", "spm", {**GEMMA, "decoder": None}, {}, False


def attempt(make):
    """What `make` gives; nothing where the library fails by its own index errors (Replace and Strip, on some texts)."""
    try:
        return [make()]
    except BaseException as error:
        if type(error).__name__ != "PanicException": raise
        return []


def decoding(tokenizer, ids):
    return {"ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False),
            "skipped": tokenizer.decode(ids, skip_special_tokens=True)}


def cases(tokenizer, strings):
    def case(text):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return {"text": text, "whole": tokenizer.encode(text).ids, **decoding(tokenizer, ids)}
    return [found for text in strings for found in attempt(lambda: case(text))]


def decodings(tokenizer, generator):
    """Ids in no order that a text would give: broken characters, bytes in a row, special tokens."""
    size = tokenizer.get_vocab_size()
    bytes = [i for t, i in sorted(tokenizer.get_vocab().items()) if t.startswith("<0x")] or list(range(2, 258))
    for length in range(1, 25):
        pool = bytes if length % 2 else range(size)
        ids = [generator.choice(pool) if generator.random() < 0.8 else generator.randrange(size) for _ in range(length)]
        yield from attempt(lambda: decoding(tokenizer, ids))


def main():
    spm, spm_gguf = bpe_base()
    unigram, unigram_gguf = unigram_base()
    with open(os.path.join(HERE, "tiny-tokenizer.json")) as file: tiny = json.load(file)
    bases = {"spm": spm, "unigram": unigram, "bytes": tiny}
    generator = random.Random(7)
    out = []
    for name, base, parts, model, everything in variants(bases):
        whole = {**bases[base], **parts, "model": {**bases[base]["model"], **model}}
        tokenizer = Tokenizer.from_str(json.dumps(whole))
        strings = ALL if everything else SHORT[::3]
        found = list(cases(tokenizer, strings))
        if len(found) < len(strings): print(f"{name}: the reference fails on {len(strings) - len(found)} of {len(strings)} texts")
        for case in found:  # leave out what says nothing new
            if case["whole"] == case["ids"]: del case["whole"]
            if case["skipped"] == case["decoded"]: del case["skipped"]
            if case["decoded"] == case["text"]: del case["decoded"]
            case["text"] = ALL.index(case["text"])
        out.append({"name": name, "base": base, "replace": parts, "model": model, "cases": found,
                    "decodings": list(decodings(tokenizer, generator))})
    document = {"made with": f"tokenizers {tokenizers.__version__}, sentencepiece {sentencepiece.__version__}, seed 7",
                "bases": {"spm": spm, "unigram": unigram}, "gguf": {"spm": spm_gguf, "unigram": unigram_gguf}, "texts": ALL, "variants": out}
    with open(os.path.join(HERE, "family-goldens.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
