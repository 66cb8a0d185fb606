// Real vocabularies against what Hugging Face makes of texts. Goldens/real_vocabularies.py fills a folder with them,
// which ESPALIER_TOKENIZERS names; without it these tests are skipped.

import Foundation
import JSON
import Tensors
import Testing

@testable import Checkpoints

private let folder = ProcessInfo.processInfo.environment["ESPALIER_TOKENIZERS"]

/// Names of the files of the folder that end in `ending`, without it.
private func names(_ ending: String) -> [String] {
  let files = folder.flatMap { try? FileManager.default.contentsOfDirectory(atPath: $0) } ?? []
  return files.filter { $0.hasSuffix(ending) }.map { String($0.dropLast(ending.count)) }.sorted()
}

private func json(_ file: String) throws -> JSON {
  let bytes = try #require(FileManager.default.contents(atPath: "\(folder ?? "")/\(file)"))
  return try JSON.parse(Array(bytes), limits: .file)
}

private func goldens(of name: String) throws -> [Golden] {
  try #require(json("\(name).expected.json")["cases"]?.array).map { try Golden($0, checksWhole: false) }
}

@Suite(.enabled(if: folder != nil, "ESPALIER_TOKENIZERS is not set")) struct RealTokenizerTests {
  private func check(_ definition: TokenizerDefinition, _ name: String) throws {
    let tokenizer = try Tokenizer(definition, begin: nil, ends: [])
    let cases = try goldens(of: name)
    #expect(cases.count > 300)
    for golden in cases {
      let found = try differences(tokenizer, golden, decoding: true)
      #expect(found.isEmpty, "\(name): \(found.map { $0.prefix(120) })")
    }
  }

  @Test(arguments: names(".expected.json").filter { !names(".gguf").contains($0) })
  func files(_ name: String) throws {
    try check(TokenizerDefinition(json: json("\(name).json"), path: name), name)
  }

  @Test(arguments: names(".gguf"))
  func gguf(_ name: String) throws {
    let path = "\(folder ?? "")/\(name).gguf"
    let file = try GGUFFile(storage: MappedFile(path: path), path: path)
    try check(TokenizerDefinition(gguf: file), name)
    // The script checks these with Hugging Face's own library.
    let exported = try GGUFTokenizerFiles(file: file).companions[0].bytes()
    try Data(exported).write(to: URL(fileURLWithPath: "\(folder ?? "")/\(name).exported.json"))
    try check(TokenizerDefinition(json: JSON.parse(exported, limits: .file), path: name), name)
  }

  /// llama.cpp's own vectors: texts, and one line of ids for each. Llama's own tokenizer in llama.cpp puts a space
  /// before a text that begins with one too, which Hugging Face's `LlamaTokenizer` does not.
  @Test(arguments: names(".gguf.inp"))
  func vectors(_ name: String) throws {
    let path = "\(folder ?? "")/\(name).gguf"
    let definition = try TokenizerDefinition(gguf: GGUFFile(storage: MappedFile(path: path), path: path))
    let tokenizer = try Tokenizer(definition, begin: nil, ends: [])
    let input = try String(contentsOfFile: "\(path).inp", encoding: .utf8)
    let texts = input.components(separatedBy: "\n__ggml_vocab_test__\n")
    let lines = try String(contentsOfFile: "\(path).out", encoding: .utf8).components(separatedBy: "\n")
    let isLlama = name == "gguf-llama-spm"
    for (text, line) in zip(texts, lines) where !text.isEmpty && !(isLlama && text.hasPrefix(" ")) {
      let ids = line.split(separator: " ").compactMap { Int32($0) }
      #expect(try tokenizer.encode(text) == ids, "\(name): \(text.debugDescription.prefix(120))")
    }
  }
}
