// The words of CheckpointError: where, what was found, what was expected, what to do next.

import Glibc
import Tensors

extension CheckpointError: CustomStringConvertible {
  package var description: String { message }

  /// One or more sentences for a person.
  package var message: String {
    switch self {
    case .file(let path, let fault): "\(quoted(path)): \(fault.message)"
    case .layout(let path, let fault): "\(quoted(path)): \(fault.message)"
    case .json(let path, let reason): "\(quoted(path)) is not the JSON it should be. \(reason)"
    case .configuration(let path, let fault): "\(quoted(path)): \(fault.message)"
    case .safetensors(let path, let fault):
      "\(quoted(path)) is no valid safetensors file: \(fault.message) \(Advice.copy)"
    case .shards(let path, let fault): "\(quoted(path)) does not match its shards: \(fault.message) \(Advice.copy)"
    case .gguf(let path, let fault): "\(quoted(path)): \(fault.message)"
    case .tokenizer(let path, let fault): "The tokenizer of \(quoted(path)): \(fault.message)"
    case .writing(let tensor, let fault): "Tensor \(quoted(tensor)) cannot be written: \(fault.message)"
    }
  }
}

private enum Advice {
  static let copy = "The file may be cut off, damaged or of another version; fetch or export it again."
}

/// Names come from files: they are shown cut to a length that a message can hold, and without control characters.
private func quoted(_ text: String) -> String {
  let shown = String(text.unicodeScalars.prefix(200).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : Character($0) })
  return "\"\(shown)\(text.unicodeScalars.count > 200 ? "..." : "")\""
}

extension FileFault {
  fileprivate var message: String {
    switch self {
    case .notFound:
      "There is no such file or folder. Check the path; relative paths start where the daemon was started."
    case .system(let call, let code):
      "\(call) failed: \(String(cString: strerror(code))) (errno \(code)). Check permissions and free space."
    case .changedInUse:
      "It was truncated while the model was in use, so results would be wrong. Unload the model, restore the file and "
        + "load it again; write new weights under another name."
    case .notRegular(let found): "It is \(found); expected an ordinary file."
    case .tooLarge(let bytes, let limit): "It has \(bytes) bytes; at most \(limit) are read of a file of this kind."
    case .invalidPath: "The path is empty, without a name, or has a NUL character or slash where none may be."
    case .locked: "Another request or program is writing to it. Wait until that is done, or give another path."
    case .taken(let by):
      "There is \(by) already. Choose another path, or remove it first; "
        + "methods that have `overwrite` replace it if told to."
    }
  }
}

extension LayoutFault {
  fileprivate var message: String {
    let expected =
      "Expected a folder with config.json, model.safetensors (or model.safetensors.index.json) and tokenizer.json, "
      + "or a GGUF file."
    switch self {
    case .unrecognised(let found): return "Found \(found). \(expected)"
    case .pickle(let file):
      return
        "\(quoted(file)) holds weights as a Python pickle, which runs code when it is read and is therefore refused. "
        + "Convert it once with Hugging Face transformers: load it with from_pretrained and save it with "
        + "save_pretrained, which writes model.safetensors."
    case .loneSafetensors: return "One file is no whole model; give the folder that it is in. \(expected)"
    case .incomplete(let missing, let found):
      let names = found.isEmpty ? "nothing" : found.map(quoted).joined(separator: ", ")
      return "The folder has no \(missing); found \(names). \(expected)"
    }
  }
}

extension ConfigurationFault {
  fileprivate var message: String {
    switch self {
    case .field(let field, let expected, let found): "\(field) is \(found); expected \(expected)."
    case .tokenID(let field, let id, let size):
      "\(field) is \(id), but the tokenizer has no such token; its ids are below \(size). "
        + "Configuration and tokenizer belong to different models, or one of them was edited."
    }
  }
}

extension SafetensorsFault {
  fileprivate var message: String {
    switch self {
    case .tooShort(let bytes): "it has \(bytes) bytes, and the length of the header alone takes 8."
    case .headerTooLarge(let bytes):
      "its header would have \(bytes) bytes; at most \(SafetensorsFile.headerLimit) are allowed."
    case .headerPastEnd(let header, let file): "its header would have \(header) bytes, but the whole file has \(file)."
    case .headerStart(let byte): "its header begins with byte \(byte); expected \"{\"."
    case .headerNotJSON(let reason): "its header is not JSON. \(reason)"
    case .metadata(nil, let found): "__metadata__ is \(found); expected an object of strings."
    case .metadata(let key?, let found): "__metadata__ has \(found) under \(quoted(key)); expected a string."
    case .entry(let tensor, let field, let expected):
      "tensor \(quoted(tensor)) has no valid \(field); expected \(expected)."
    case .unknownField(let tensor, let field):
      "tensor \(quoted(tensor)) has an unknown field \(quoted(field)); expected dtype, shape and data_offsets only."
    case .unknownType(let tensor, let type):
      "tensor \(quoted(tensor)) has type \(quoted(type)); supported are "
        + DType.safetensorsNames.map(\.name).joined(separator: ", ") + "."
    case .ambiguousName(let name): "two tensors are called \(quoted(name)), with differently encoded accents."
    case .size(let tensor, let shape): "tensor \(quoted(tensor)) has shape \(shape); every size must be at least 1."
    case .overflow(let tensor, let shape): "tensor \(quoted(tensor)) has shape \(shape), more than can be addressed."
    case .reversedOffsets(let tensor, let begin, let end):
      "the data of tensor \(quoted(tensor)) begins at \(begin) and ends before that, at \(end)."
    case .byteCount(let tensor, let shape, let type, let expected, let found):
      "tensor \(quoted(tensor)) of shape \(shape) and type \(type) takes \(expected) bytes, "
        + "but its offsets span \(found)."
    case .hole(let tensor, let expected, let begin):
      "the data of tensor \(quoted(tensor)) begins at \(begin), leaving a hole; expected \(expected)."
    case .overlap(let tensor, let other, let expected, let begin):
      "the data of tensor \(quoted(tensor)) begins at \(begin), inside that of \(quoted(other)); expected \(expected)."
    case .pastEnd(let tensor, let end, let bytes):
      "the data of tensor \(quoted(tensor)) ends at \(end), but the file holds \(bytes) bytes of data."
    case .trailingBytes(let count): "\(count) bytes behind the last tensor belong to none."
    }
  }
}

extension ShardFault {
  fileprivate var message: String {
    switch self {
    case .weightMap(let expected): "expected \(expected)."
    case .empty: "weight_map is empty; expected at least one tensor."
    case .unsafeName(let name):
      "\(quoted(name)) is not the plain name of a .safetensors file in the same folder."
    case .missingShard(let name): "there is no file \(quoted(name)) beside it."
    case .tensorMissing(let tensor, let shard): "tensor \(quoted(tensor)) should be in \(quoted(shard)) and is not."
    case .tensorTwice(let tensor, let shards):
      "tensor \(quoted(tensor)) is in \(shards.map(quoted).joined(separator: " and in "))."
    case .tensorNotIndexed(let tensor, let shard):
      "tensor \(quoted(tensor)) in \(quoted(shard)) is not in the index."
    }
  }
}

extension WritingFault {
  fileprivate var message: String {
    switch self {
    case .nameTwice: "two tensors have this name."
    case .reservedName: "the name is reserved for the file's metadata."
    case .unsupportedType(let dtype):
      "safetensors has no type \(dtype.rawValue); convert it to one of "
        + DType.safetensorsNames.map(\.name).joined(separator: ", ") + "."
    case .shape(let shape): "shape \(shape) has a size below 1 or more elements than can be addressed."
    case .byteCount(let expected, let produced):
      "its shape and type take \(expected) bytes, but \(produced) were produced."
    case .headerTooLarge(let bytes):
      "the header would have \(bytes) bytes; at most \(SafetensorsFile.headerLimit) are allowed."
    }
  }
}

extension GGUFFault {
  fileprivate var message: String {
    switch self {
    case .notGGUF(let magic):
      "It begins with the bytes \(magic), not with \"GGUF\"; expected a GGUF file. \(Advice.copy)"
    case .bigEndian: "It is a big-endian GGUF file; expected a little-endian one. Convert it with llama.cpp's tools."
    case .version(let version):
      "It is GGUF version \(version); versions \(GGUFFile.versions.lowerBound) and \(GGUFFile.versions.upperBound) "
        + "are read. Convert the model again with a current llama.cpp."
    case .truncated(let what, let offset, let needed, let available):
      "The file ends inside \(what): \(needed) bytes are needed at byte \(offset), \(available) are left. "
        + Advice.copy
    case .count(let what, let count, let most):
      "It announces \(count) \(what), but the bytes that follow can hold \(most) at most. \(Advice.copy)"
    case .tooMany(let what, let count, let limit):
      "It announces \(count) \(what); at most \(limit) are read. \(Advice.copy)"
    case .invalidText(let what, let offset): "At byte \(offset), \(what) is not valid UTF-8. \(Advice.copy)"
    case .duplicateKey(let key): "The metadata key \(quoted(key)) is there twice; expected every key once."
    case .valueType(let key, let type):
      "\(quoted(key)) has the unknown value type \(type); expected 0 to 12. \(Advice.copy)"
    case .nesting(let key, let limit): "\(quoted(key)) has arrays nested deeper than \(limit)."
    case .boolean(let key, let byte): "\(quoted(key)) is a boolean of value \(byte); expected 0 or 1. \(Advice.copy)"
    case .alignment(let found): "general.alignment is \(found); expected a power of two from 1 to 1048576."
    case .duplicateTensor(let tensor): "Two tensors are called \(quoted(tensor))."
    case .dimensions(let tensor, let count):
      "Tensor \(quoted(tensor)) has \(count) dimensions; expected 1 to 4. \(Advice.copy)"
    case .size(let tensor, let size):
      "Tensor \(quoted(tensor)) has a dimension of \(size); expected 1 to \(Int.max). \(Advice.copy)"
    case .overflow(let tensor, let shape):
      "Tensor \(quoted(tensor)) has shape \(shape), more than can be addressed. \(Advice.copy)"
    case .tensorType(let tensor, let type):
      "Tensor \(quoted(tensor)) has type \(type); supported are \(DType.ggufSupported). "
        + "Convert the model to one of these, for example with llama-quantize."
    case .blockCut(let tensor, let columns, let type):
      "Tensor \(quoted(tensor)) has rows of \(columns) elements, but type \(type.rawValue) stores blocks of "
        + "\(type.blockElements). \(Advice.copy)"
    case .misaligned(let tensor, let offset, let alignment):
      "The data of tensor \(quoted(tensor)) begins at \(offset); expected a multiple of \(alignment). \(Advice.copy)"
    case .overlap(let tensor, let other):
      "The data of tensor \(quoted(tensor)) overlaps that of \(quoted(other)). \(Advice.copy)"
    case .hole(let tensor, let expected, let begin):
      "The data of tensor \(quoted(tensor)) begins at \(begin), leaving a hole; expected \(expected). \(Advice.copy)"
    case .pastEnd(let tensor, let end, let bytes):
      "The data of tensor \(quoted(tensor)) ends at \(end), but the file holds \(bytes) bytes of data. \(Advice.copy)"
    case .trailingBytes(let count): "\(count) bytes behind the last tensor belong to none. \(Advice.copy)"
    case .metadataMissing(let key): "The metadata key \(quoted(key)) is missing. Convert the model again."
    case .metadataType(let key, let expected, let found):
      "The metadata key \(quoted(key)) holds \(found); expected \(expected)."
    case .metadataValue(let key, let found, let expected):
      "The metadata key \(quoted(key)) is \(found); expected \(expected)."
    case .unsupportedKey(let key, let value):
      "The metadata key \(quoted(key)) (\(quoted(value))) changes how the model computes and is not supported. "
        + "Use a model without it."
    case .unsupportedTensor(let tensor, let architecture):
      "Tensor \(quoted(tensor)) is no part of a \(architecture) model as Espalier computes it, and is not supported. "
        + "Use a model without it."
    case .ropeFactors(let tensor):
      "Tensor \(quoted(tensor)) stretches the rotary embedding in a way that is not known; expected the factors of "
        + "Llama 3 for this size of head and base. Use a model without it."
    case .heads(let tensor, let heads, let rows):
      "Tensor \(quoted(tensor)) has \(rows) rows, which \(heads) heads do not divide into pairs. \(Advice.copy)"
    }
  }
}

extension TokenizerFault {
  fileprivate var message: String {
    switch self {
    case .unsupported(let part, let found, let supported):
      "\(part) is \(quoted(found)), which is not supported; supported: \(supported)."
    case .field(let field, let expected): "\(quoted(field)) is missing or wrong; expected \(expected)."
    case .tooMany(let what, let count, let limit): "It has \(count) \(what); at most \(limit) are read."
    case .tokenID(let token, let id, let limit):
      "Token \(quoted(token)) has id \(id); ids must be from 0 to \(limit - 1), given how many tokens there are."
    case .duplicateID(let id, let tokens):
      "Id \(id) belongs to several tokens: \(tokens.map(quoted).joined(separator: ", ")). Expected one."
    case .duplicateToken(let token): "Token \(quoted(token)) is in the vocabulary twice; expected once."
    case .addedToken(let token, let id, let vocabularyID):
      "The added token \(quoted(token)) has id \(id), but the vocabulary gives it \(vocabularyID); expected the same."
    case .merge(let index, let text):
      "Merge \(index) is \(quoted(text)); expected two tokens with one space between them."
    case .mergeToken(let index, let token):
      "Merge \(index) needs token \(quoted(token)), which is not in the vocabulary."
    case .pattern(let pattern, let reason): "The expression \(quoted(pattern)) cannot be used: \(reason)."
    case .patternGaveUp(let pattern, let reason):
      "Matching \(quoted(pattern)) was given up: \(reason). "
        + "Split the text, or use a tokenizer with a simpler expression."
    case .textTooLong(let bytes, let limit):
      "The text has \(bytes) bytes; at most \(limit) are encoded at once. Give it in parts."
    case .specialToken(let token): "The special token \(quoted(token)) is not in the vocabulary."
    case .unknownCharacter(let character):
      "No token has the character \(quoted(character)), and there is no token for unknown ones. "
        + "Leave it out of the text."
    case .unknownID(let id, let size): "There is no token \(id); ids are from 0 to \(size - 1)."
    }
  }
}
