// What can be wrong with a checkpoint, as facts. The text is in CheckpointError+Message.swift, the words for clients
// in CheckpointError+Kind.swift. Each case says which file and wraps the fault of that kind of file.

package import Tensors

/// Why a checkpoint could not be read or written.
package enum CheckpointError: Error, Sendable, Equatable {
  /// The file system refused, or the path names the wrong kind of thing.
  case file(path: String, FileFault)
  /// The path is readable but no checkpoint that Espalier knows.
  case layout(path: String, LayoutFault)
  /// A JSON file that is no JSON, or not what its place asks for; `reason` says where and why.
  case json(path: String, reason: String)
  case configuration(path: String, ConfigurationFault)
  case safetensors(path: String, SafetensorsFault)
  case shards(path: String, ShardFault)
  case gguf(path: String, GGUFFault)
  case tokenizer(path: String, TokenizerFault)
  /// A tensor that cannot be written as asked.
  case writing(tensor: String, WritingFault)
}

package enum FileFault: Error, Sendable, Equatable {
  case notFound
  /// A system call failed with `code` (errno).
  case system(call: String, code: Int32)
  /// Not a regular file but `found` ("a folder", "a named pipe").
  case notRegular(found: String)
  /// A file that should be read into memory has more bytes than `limit`.
  case tooLarge(bytes: Int, limit: Int)
  /// An empty path, or one with a NUL character.
  case invalidPath
  /// It lost bytes that were in use: somebody truncated or overwrote it.
  case changedInUse
  /// Another writer has it open.
  case locked
  /// Something is there already and is not to be replaced.
  case taken(by: String)
}

package enum LayoutFault: Error, Sendable, Equatable {
  /// Neither a folder nor a GGUF file.
  case unrecognised(found: String)
  /// Weights as a Python pickle.
  case pickle(file: String)
  /// One safetensors file instead of its folder.
  case loneSafetensors
  /// A folder without `file`; `found` are the names of what it holds (at most a few).
  case incomplete(missing: String, found: [String])
}

package enum ConfigurationFault: Error, Sendable, Equatable {
  /// A field has another type than expected.
  case field(String, expected: String, found: String)
  /// A token id of the configuration is not in the vocabulary.
  case tokenID(field: String, id: Int, vocabularySize: Int)
}

package enum SafetensorsFault: Error, Sendable, Equatable {
  /// The file has no room for the length of a header.
  case tooShort(bytes: Int)
  case headerTooLarge(bytes: UInt64)
  case headerPastEnd(headerBytes: UInt64, fileBytes: Int)
  /// The header does not start with `{`.
  case headerStart(UInt8)
  case headerNotJSON(reason: String)
  /// `__metadata__` is not a map of strings.
  case metadata(key: String?, found: String)
  /// A tensor's entry lacks `field` or has something else there.
  case entry(tensor: String, field: String, expected: String)
  /// A tensor's entry has a field that the format does not know.
  case unknownField(tensor: String, field: String)
  case unknownType(tensor: String, type: String)
  /// Two names that differ only in how accents are encoded.
  case ambiguousName(String)
  /// A size below 1.
  case size(tensor: String, shape: [Int])
  case overflow(tensor: String, shape: [Int])
  /// The end of the data lies before its start.
  case reversedOffsets(tensor: String, begin: Int, end: Int)
  case byteCount(tensor: String, shape: [Int], type: String, expected: Int, found: Int)
  /// Bytes between `expected` and `begin` belong to no tensor.
  case hole(tensor: String, expected: Int, begin: Int)
  /// The data begins before the end of the tensor before it.
  case overlap(tensor: String, with: String, expected: Int, begin: Int)
  case pastEnd(tensor: String, end: Int, dataBytes: Int)
  case trailingBytes(Int)
}

package enum ShardFault: Error, Sendable, Equatable {
  /// `weight_map` is missing or not a map of strings.
  case weightMap(expected: String)
  case empty
  /// A shard's name is not the plain name of a safetensors file.
  case unsafeName(String)
  case missingShard(String)
  /// The index places a tensor in a shard that does not hold it.
  case tensorMissing(tensor: String, shard: String)
  case tensorTwice(tensor: String, shards: [String])
  /// A shard holds a tensor that the index does not know.
  case tensorNotIndexed(tensor: String, shard: String)
}

package enum WritingFault: Error, Sendable, Equatable {
  case nameTwice
  case reservedName
  case unsupportedType(DType)
  case shape([Int])
  /// The producer gave another number of bytes than shape and type ask for.
  case byteCount(expected: Int, produced: Int)
  case headerTooLarge(bytes: Int)
}

package enum GGUFFault: Error, Sendable, Equatable {
  case notGGUF(magic: [UInt8])
  case bigEndian
  case version(UInt32)
  /// The file ends inside `what`, which begins at `offset`.
  case truncated(what: String, offset: Int, needed: UInt64, available: Int)
  /// A count that the remaining bytes cannot hold.
  case count(what: String, count: UInt64, most: Int)
  /// More of something than is read of any file.
  case tooMany(what: String, count: UInt64, limit: Int)
  case invalidText(what: String, offset: Int)
  case duplicateKey(String)
  case valueType(key: String, type: UInt32)
  case nesting(key: String, limit: Int)
  case boolean(key: String, byte: UInt8)
  case alignment(found: String)
  case duplicateTensor(String)
  case dimensions(tensor: String, count: UInt32)
  case size(tensor: String, size: UInt64)
  case overflow(tensor: String, shape: [Int])
  case tensorType(tensor: String, type: String)
  /// A row does not hold whole blocks.
  case blockCut(tensor: String, columns: Int, type: DType)
  case misaligned(tensor: String, offset: UInt64, alignment: Int)
  case overlap(tensor: String, with: String)
  case hole(tensor: String, expected: Int, begin: UInt64)
  case pastEnd(tensor: String, end: UInt64, dataBytes: Int)
  case trailingBytes(Int)
  case metadataMissing(key: String)
  case metadataType(key: String, expected: String, found: String)
  case metadataValue(key: String, found: String, expected: String)
  /// A field or tensor that changes the arithmetic and is not understood.
  case unsupportedKey(String, value: String)
  case unsupportedTensor(String, architecture: String)
  /// Factors of the rotary embedding that no known scaling gives.
  case ropeFactors(String)
  /// Rows of a projection that its heads do not divide into pairs.
  case heads(tensor: String, heads: Int, rows: Int)
}

package enum TokenizerFault: Error, Sendable, Equatable {
  /// A part of the tokenizer does what Espalier does not do.
  case unsupported(part: String, found: String, supported: String)
  /// A field is missing or has another form.
  case field(String, expected: String)
  case tooMany(String, count: Int, limit: Int)
  case tokenID(token: String, id: Int, limit: Int)
  case duplicateID(Int, tokens: [String])
  case duplicateToken(String)
  /// An added token whose id differs from the vocabulary's.
  case addedToken(String, id: Int, vocabularyID: Int)
  /// The merge at `index` is not two tokens.
  case merge(index: Int, text: String)
  /// A part or the result of the merge at `index` is not in the vocabulary.
  case mergeToken(index: Int, token: String)
  case pattern(String, reason: String)
  /// Matching a pattern took more work or memory than PCRE2 allows.
  case patternGaveUp(String, reason: String)
  case textTooLong(bytes: Int, limit: Int)
  /// A special token that is not in the vocabulary.
  case specialToken(String)
  /// A character that no token has, of a tokenizer without an unknown token.
  case unknownCharacter(String)
  /// Decoding: no token has this id.
  case unknownID(Int, vocabularySize: Int)
}
