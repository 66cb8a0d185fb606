"""Strings that tokenizers get wrong, for the goldens and for the comparison with real vocabularies."""

EMOJI = ["🌳🌲", "👩🏽‍🌾 👨‍👩‍👧‍👦", "🏳️‍🌈🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣ ©️ ™", "🇫🇷🇩🇪"]
MARKS = ["cafe\u0301 caf\u00e9", "\u0301x", "a\u0323\u0307 a\u0307\u0323", "q\u0307\u0323\u0301", "e\u0301\u0301\u0301",
         "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324", "\u1e9b\u0323", "\ud55c\uae00 \u1112\u1161\u11ab",
         "\u212b \u2126 \u00c5 \u03a9", "\ufb01\ufb02 \u2460 \uff21\uff22 \u33a5", "\u0958 \u0915\u093c", "\u0600\u0661 \u0e33",
         "a\u0323\u1ab5\u0301", "\U000110ba \U0001d15e", "\u0344\u0385", "\U00011938 \u32ff \uab69 \U00010781"]
SCRIPTS = ["Дерево растёт", "木を切る。庭師は", "עץ وجدار पेड़ ต้นไม้ மரம்", "abcДабв漢字abc", "ΑΣ ΟΔΟΣ İstanbul ẞ", "ა ა Ა",
           "\u0130i\u0307\u0131I ſ K", "don’t “quote” «x» — – -", "ǅ ǆ Ǆ", "ᏣᎳᎩ ꭰ"]
SPACES = ["", " ", "  ", "   ", " a", "a ", "  a  b  ", "a   b", "a" + " " * 40 + "b", " " * 130, "\t", "\ta\t\tb", "\n", "\n\n\n",
          "a\nb\n\nc\n\n\n", "a\r\nb\r\n\r\nc\r", " \n ", "\u00a0a\u00a0\u2003b\u3000c\u200bd\u0085e\u2028f\ufeffg", "a \t \n b",
          "\u180e x", "x \u2009\u2009 y"]
CONTROLS = ["\u0000", "a\u0000b\u0000\u0000", "\u0001\u0002\u001b[0m\u007f", "\ufffd\ufffe\uffff", "\U0010ffff\ue000\ufdd0z",
            "\u200d\u200c\u2060\u00ad", "\u202eabc\u202c"]
METASPACE = ["\u2581", "\u2581a", " \u2581 a", "a\u2581b\u2581\u2581c", "\u2581\u2581\u2581", "a \u2581"]
NUMBERS = ["0123456789" * 4, "1 22 333 4444 55555", "²³ ¼ Ⅷ ٣٤ ۵ 一二 1²3", "3.14159e-10 0x1F 1,000,000", "x3y 007 9a9"]
SPECIAL = ["<s>", "a<s>b", "<s></s><unk>", " <s> a </s> ", "<|end|>", "x<|end|> <|end|>\n", "<0x0A> <0xE2>", "<unk>", "[PAD] <pad>",
           "<|endoftext|>a<|im_start|>", "<mask>", "<bos>x<eos>", "<extra_id_0> <extra_id_1>", "<|begin_of_text|>x"]
PUNCTUATION = ["It isn't; they'll, I'd, we've, I'm, you're, 'S 'LL", "$%&!?...---___<<>>", "a.b,c;d:e!f?g", "f(x) = {y: [1, 2]};",
               "\\s+ (?i:x) `code` ~ ^ | #tag @name", "!!!???...", "«»„“”‘’‹›", "_a_ __init__ a_b", "http://a.example/b?c=d&e=f#g"]
LONG = ["a" * 200, "pear" * 60, "ab" * 70, "漢" * 60, "é" * 70, "🌳" * 30, "A" * 50 + "b" * 50, "Donaudampfschifffahrtsgesellschaft" * 3,
        "!" * 90, "-=" * 60]
PROSE = ["The tree against the wall bears fruit early.", "Hello World", "hello, world! How are you today?", "The quick brown fox.",
         "def f(x):\n    return x + 1\n\n\tif x:\n\t\tpass\n", "Träd växer långsamt; människor har bråttom.",
         "El jardinero poda los árboles dos veces al año.", "日本語のテキストと English の mix です。", "Tôi yêu cây xanh."]
LATIN1 = [chr(c) for c in range(256)] + ["x" + chr(c) for c in range(0, 256, 7)]
BLOCKS = ["".join(chr(c) for c in range(a, a + 48)) for a in
          [*range(0, 0x240, 48), 0x300, 0x370, 0x400, 0x5d0, 0x620, 0x900, 0xe00, 0x1e00, 0x1f00, 0x2000, 0x2030, 0x2100, 0x2580,
           0x3000, 0x3040, 0x4e00, 0xac00, 0xf900, 0xfb00, 0xff00, 0x1f300, 0x1f600, 0x20000]]

# Short enough for every variant of a small tokenizer.
SHORT = EMOJI + MARKS + SCRIPTS + SPACES + CONTROLS + METASPACE + NUMBERS + SPECIAL + PUNCTUATION + PROSE
ALL = list(dict.fromkeys(SHORT + LONG + LATIN1 + BLOCKS))
