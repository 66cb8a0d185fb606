// The stable words by which clients tell checkpoint errors apart. Changing one breaks clients.

extension CheckpointError {
  /// A stable camelCase word for what is wrong.
  package var kind: String {
    switch self {
    case .file(_, let fault): fault.kind
    case .layout(_, let fault): fault.kind
    case .json: "invalidJSON"
    case .configuration(_, let fault): fault.kind
    case .safetensors: "invalidSafetensors"
    case .shards(_, let fault): fault.kind
    case .gguf(_, let fault): fault.kind
    case .tokenizer(_, let fault): fault.kind
    case .writing: "tensorNotWritable"
    }
  }

  /// The file or folder it is about; nil for a tensor to be written.
  package var path: String? {
    switch self {
    case .file(let path, _), .layout(let path, _), .json(let path, _), .configuration(let path, _),
      .safetensors(let path, _), .shards(let path, _), .gguf(let path, _), .tokenizer(let path, _):
      path
    case .writing: nil
    }
  }
}

extension FileFault {
  fileprivate var kind: String {
    switch self {
    case .notFound: "fileNotFound"
    case .system: "fileSystem"
    case .notRegular: "fileNotRegular"
    case .tooLarge: "fileTooLarge"
    case .invalidPath: "pathInvalid"
    case .changedInUse: "fileChangedInUse"
    case .taken: "pathTaken"
    case .locked: "fileLocked"
    }
  }
}

extension LayoutFault {
  fileprivate var kind: String {
    switch self {
    case .unrecognised, .loneSafetensors: "checkpointUnrecognised"
    case .pickle: "pickleRefused"
    case .incomplete: "checkpointIncomplete"
    }
  }
}

extension ConfigurationFault {
  fileprivate var kind: String {
    switch self {
    case .field: "configurationField"
    case .tokenID: "tokenOutOfRange"
    }
  }
}

extension ShardFault {
  fileprivate var kind: String {
    switch self {
    case .tensorMissing: "tensorMissing"
    default: "invalidShards"
    }
  }
}

extension GGUFFault {
  fileprivate var kind: String {
    switch self {
    case .version, .bigEndian, .tensorType, .unsupportedKey, .unsupportedTensor, .ropeFactors:
      "unsupportedGGUF"
    default: "invalidGGUF"
    }
  }
}

extension TokenizerFault {
  fileprivate var kind: String {
    switch self {
    case .unsupported: "unsupportedTokenizer"
    case .unknownID: "tokenOutOfRange"
    case .textTooLong: "textTooLong"
    case .patternGaveUp: "tokenizerGaveUp"
    default: "invalidTokenizer"
    }
  }
}
