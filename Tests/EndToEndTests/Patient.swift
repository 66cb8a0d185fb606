// One daemon for many tests, each of which gives it something bad and then looks whether it is well: alive, and with
// every model at the revision where it was.

import Foundation
import JSON
import JSONRPC
import PipeClient
import TestSupport
import Testing

/// How a request is refused: the code and `data.kind`.
struct Refusal: Equatable, CustomStringConvertible, Sendable {
  let code: Int
  let kind: String

  init(_ code: Int, _ kind: String) {
    self.code = code
    self.kind = kind
  }

  /// The parameters are wrong in themselves.
  static func params(_ kind: String) -> Refusal { Refusal(-32602, kind) }
  /// The request was understood, and failed.
  static func failed(_ kind: String) -> Refusal { Refusal(-32803, kind) }

  var description: String { "\(code) \(kind)" }
}

extension Client {
  /// How a request is refused; nil if it is not.
  func refusal(_ method: String, _ params: JSON? = nil) throws -> Refusal? {
    do throws(PipeClientError) {
      _ = try call(method, params, within: 60)
      return nil
    } catch {
      guard case .refused(let error, _) = error else { throw error }
      #expect(!error.message.isEmpty && error.message.utf8.count < 5000)
      return Refusal(error.code.rawValue, error.kind ?? "without a kind")
    }
  }
}

/// A daemon with a tiny model in three states: `tiny` at r2 of two masks, `fresh` as it was loaded, and `nan`, which
/// has a NaN among its weights; with a dataset `d` of 4 x 8 tokens and scores of `tiny`.
final class Patient: Sendable {
  let client: Client
  /// The handle of magnitude scores of `tiny`.
  let scores: JSON
  private let health: JSON

  /// The one daemon of the suites that share it; it ends with the process of the tests.
  static let shared = Result { try Patient() }

  /// Two layers, hidden size 24, a vocabulary of 67, 64 positions, tensors in fp32.
  static let model = "\(Repository.goldens(of: "TransformersTests"))/grouped-f32"
  static let gguf = "\(Repository.goldens(of: "TransformersTests"))/grouped-f32-gguf.gguf"
  static let tensor = "model.layers.0.self_attn.q_proj.weight"

  private init() throws {
    client = try Client(starting: Program.command([]))
    try client.initialize()
    let files = Specimen()
    try files.change("model.safetensors") { bytes in
      let start = bytes.count - 4 * 24  // the final norm
      bytes.replaceSubrange(start..<start + 4, with: [0, 0, 0xc0, 0x7f])
    }
    for (name, source) in [("tiny", Self.model), ("fresh", Self.model), ("nan", files.path)] {
      _ = try client.call("model/load", ["source": JSON(source), "name": JSON(name)], within: 60)
    }
    _ = try client.call(
      "dataset/load", ["tokens": JSON(Array(0..<32)), "model": "tiny", "name": "d", "sequenceLength": 8], within: 60)
    let scored = try client.call("importance/score", ["model": "tiny", "plugin": "magnitude"], within: 60)
    scores = try #require(scored["scores"])
    for sparsity in [0.25, 0.5] {
      _ = try client.call(
        "mask/apply", ["model": "tiny", "scores": scores, "sparsity": .number(sparsity)], within: 60)
    }
    health = try Self.health(of: client)
  }

  /// All that must not change: models, revisions, branches, datasets and scores.
  private static func health(of client: Client) throws -> JSON {
    var logs: JSONObject = [:]
    for model in ["tiny", "fresh", "nan"] {
      logs[model] = try client.call("revision/log", ["model": JSON(model)], within: 60)
    }
    return [
      "logs": .object(logs), "datasets": try client.call("dataset/list", within: 60),
      "scores": try client.call("importance/list", within: 60),
    ]
  }

  /// Expects that `method` is refused in this way, and that nothing has changed by it.
  func expectRefusal(
    _ expected: Refusal, of method: String, _ params: JSON, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(try client.refusal(method, params) == expected, sourceLocation: sourceLocation)
    #expect(try Self.health(of: client) == health, "something was changed", sourceLocation: sourceLocation)
    #expect(
      try client.call("server/status", within: 60)["version"] != nil, "it serves on", sourceLocation: sourceLocation)
  }
}

/// A copy of the tiny model's folder to damage, deleted with the object.
final class Specimen {
  private let folder = TemporaryFolder()
  var path: String { folder.path }

  init() {
    for name in TemporaryFolder.names(in: Patient.model) {
      _ = folder.write(name, TemporaryFolder.read("\(Patient.model)/\(name)") ?? [])
    }
  }

  func file(_ name: String) -> String { folder.file(name) }
  func write(_ name: String, _ text: String) { _ = folder.write(name, Array(text.utf8)) }
  func write(_ name: String, _ bytes: [UInt8]) { _ = folder.write(name, bytes) }
  func remove(_ name: String) { unlink(file(name)) }

  func change(_ name: String, _ change: (inout [UInt8]) -> Void) throws {
    var bytes = try #require(TemporaryFolder.read(file(name)))
    change(&bytes)
    write(name, bytes)
  }

  /// Replaces the first `old` in a text file, which must be there.
  func replace(_ old: String, with new: String, in name: String) throws {
    let text = String(decoding: try #require(TemporaryFolder.read(file(name))), as: UTF8.self)
    let range = try #require(text.range(of: old), "\(name) has no \(old)")
    write(name, text.replacingCharacters(in: range, with: new))
  }

  /// Replaces the first `old` in the header of the weights, and corrects its length.
  func replace(inHeader old: String, with new: String) throws {
    try change("model.safetensors") { bytes in
      let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
      let header = String(decoding: bytes[8..<8 + length], as: UTF8.self)
      let changed = Array((header as NSString).replacingOccurrences(
        of: old, with: new, range: (header as NSString).range(of: old)).utf8)
      bytes.replaceSubrange(..<(8 + length), with: Self.length(UInt64(changed.count)) + changed)
    }
  }

  /// The eight bytes that say how long a header is.
  static func length(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }
}
