// Reading and writing safetensors: one hostile file per fault, every truncation, and what is written is read back.

import Foundation
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

private func entry(_ shape: String, _ begin: Int, _ end: Int, _ dtype: String = "F32") -> String {
  #"{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
}

private func fault(_ file: [UInt8]) throws -> SafetensorsFault? {
  let error = try checkpointError { _ = try SafetensorsFile(storage: MemoryStorage(file), path: "x") }
  guard case .safetensors(_, let fault) = error else { return nil }
  return fault
}

@Suite struct SafetensorsFileTests {
  @Test func readsViews() throws {
    let header =
      #"{"__metadata__":{"format":"pt"},"b":\#(entry("[2]", 24, 28, "BF16")),"a":\#(entry("[2,3]", 0, 24))}  "#
    let file = try SafetensorsFile(storage: MemoryStorage(safetensors(header, data: 28)), path: "x")
    #expect(Array(file.tensors.keys) == ["a", "b"])
    #expect(file.metadata == ["format": "pt"])
    let b = try #require(file.tensors["b"])
    #expect(b.dtype == .bf16 && b.shape == [2] && Array(b.bytes) == [24, 25, 26, 27])
    #expect(file.tensors["a"]?.shape == [2, 3])
  }

  @Test func readsScalarsAndEmptyFiles() throws {
    let scalar = try SafetensorsFile(
      storage: MemoryStorage(safetensors(#"{"s":\#(entry("[]", 0, 1, "U8"))}"#, data: 1)), path: "x")
    #expect(scalar.tensors["s"]?.shape == [])
    #expect(try SafetensorsFile(storage: MemoryStorage(safetensors("{}")), path: "x").tensors.isEmpty)
  }

  static let hostile: [(String, [UInt8], SafetensorsFault)] = [
    ("empty", [], .tooShort(bytes: 0)),
    ("short", [1, 2, 3], .tooShort(bytes: 3)),
    ("header beyond the limit", safetensors("{}", length: 100_000_001), .headerTooLarge(bytes: 100_000_001)),
    ("header of -1", safetensors("{}", length: .max), .headerTooLarge(bytes: .max)),
    ("header of 2^63-1", safetensors("{}", length: UInt64(Int64.max)), .headerTooLarge(bytes: UInt64(Int64.max))),
    ("header of 2^32", safetensors("{}", length: 1 << 32), .headerTooLarge(bytes: 1 << 32)),
    ("header past the end", safetensors("{}", length: 3), .headerPastEnd(headerBytes: 3, fileBytes: 10)),
    ("no header", safetensors(""), .headerNotJSON(reason: "The header is empty.")),
    ("array", safetensors("[]"), .headerStart(UInt8(ascii: "["))),
    ("leading space", safetensors(" {}"), .headerStart(UInt8(ascii: " "))),
    ("metadata is no object", safetensors(#"{"__metadata__":[]}"#), .metadata(key: nil, found: "an array")),
    ("metadata value", safetensors(#"{"__metadata__":{"a":1}}"#), .metadata(key: "a", found: "an integer")),
    (
      "entry is no object", safetensors(#"{"a":1}"#),
      .entry(tensor: "a", field: "entry", expected: "an object with dtype, shape and data_offsets")
    ),
    (
      "no dtype", safetensors(#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, data: 4),
      .entry(tensor: "a", field: "dtype", expected: "a string")
    ),
    (
      "shape of floats", safetensors(#"{"a":\#(entry("[1.0]", 0, 4))}"#, data: 4),
      .entry(tensor: "a", field: "shape", expected: "an array of at most 16 integers")
    ),
    (
      "three offsets", safetensors(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}"#, data: 4),
      .entry(tensor: "a", field: "data_offsets", expected: "two integers from 0 up")
    ),
    (
      "negative offset", safetensors(#"{"a":\#(entry("[1]", -4, 0))}"#, data: 4),
      .entry(tensor: "a", field: "data_offsets", expected: "two integers from 0 up")
    ),
    (
      "unknown field", safetensors(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"scale":2}}"#, data: 4),
      .unknownField(tensor: "a", field: "scale")
    ),
    (
      "unknown type", safetensors(#"{"a":\#(entry("[1]", 0, 4, "F8_E4M3"))}"#, data: 4),
      .unknownType(tensor: "a", type: "F8_E4M3")
    ),
    (
      "lower case type", safetensors(#"{"a":\#(entry("[1]", 0, 4, "f32"))}"#, data: 4),
      .unknownType(tensor: "a", type: "f32")
    ),
    (
      "two spellings of a name",
      safetensors(#"{"caf\u00e9":\#(entry("[1]", 0, 4)),"cafe\u0301":\#(entry("[1]", 4, 8))}"#, data: 8),
      .ambiguousName("cafe\u{301}")
    ),
    ("size 0", safetensors(#"{"a":\#(entry("[0]", 0, 0))}"#), .size(tensor: "a", shape: [0])),
    ("size -1", safetensors(#"{"a":\#(entry("[-1,-1]", 0, 4))}"#, data: 4), .size(tensor: "a", shape: [-1, -1])),
    (
      "2^63-1 bytes", safetensors(#"{"a":\#(entry("[9223372036854775807]", 0, 4))}"#, data: 4),
      .overflow(tensor: "a", shape: [.max])
    ),
    (
      "product overflows", safetensors(#"{"a":\#(entry("[4294967296,4294967296]", 0, 4))}"#, data: 4),
      .overflow(tensor: "a", shape: [1 << 32, 1 << 32])
    ),
    (
      "reversed", safetensors(#"{"a":\#(entry("[1]", 4, 0))}"#, data: 4),
      .reversedOffsets(tensor: "a", begin: 4, end: 0)
    ),
    (
      "too few bytes", safetensors(#"{"a":\#(entry("[2]", 0, 4))}"#, data: 4),
      .byteCount(tensor: "a", shape: [2], type: "F32", expected: 8, found: 4)
    ),
    (
      "hole at the start", safetensors(#"{"a":\#(entry("[1]", 4, 8))}"#, data: 8),
      .hole(tensor: "a", expected: 0, begin: 4)
    ),
    (
      "hole between", safetensors(#"{"a":\#(entry("[1]", 0, 4)),"b":\#(entry("[1]", 8, 12))}"#, data: 12),
      .hole(tensor: "b", expected: 4, begin: 8)
    ),
    (
      "overlap", safetensors(#"{"a":\#(entry("[2]", 0, 8)),"b":\#(entry("[2]", 4, 12))}"#, data: 12),
      .overlap(tensor: "b", with: "a", expected: 8, begin: 4)
    ),
    (
      "same place", safetensors(#"{"a":\#(entry("[1]", 0, 4)),"b":\#(entry("[1]", 0, 4))}"#, data: 4),
      .overlap(tensor: "b", with: "a", expected: 4, begin: 0)
    ),
    (
      "past the end", safetensors(#"{"a":\#(entry("[2]", 0, 8))}"#, data: 4),
      .pastEnd(tensor: "a", end: 8, dataBytes: 4)
    ),
    (
      "2^63-1 as end", safetensors(#"{"a":\#(entry("[1]", 0, .max))}"#, data: 4),
      .pastEnd(tensor: "a", end: .max, dataBytes: 4)
    ),
    ("trailing bytes", safetensors(#"{"a":\#(entry("[1]", 0, 4))}"#, data: 5), .trailingBytes(1)),
    ("data without tensors", safetensors("{}", data: 1), .trailingBytes(1)),
  ]

  @Test(arguments: hostile.indices)
  func refusesHostileFiles(_ index: Int) throws {
    let (name, file, expected) = Self.hostile[index]
    #expect(try fault(file) == expected, "\(name)")
  }

  @Test(arguments: [
    #"{"a":1,"a":2}"#, "{", "{}}", "{'a':1}", #"{"a":01}"#, #"{"a":NaN}"#, "{}\u{0}", #"{"a":9223372036854775808}"#,
    "{\"a\":\"\u{1}\"}", #"{"a":[[[[[[[[[[1]]]]]]]]]]}"#,
  ])
  func refusesBadJSON(_ header: String) throws {
    guard case .headerNotJSON = try fault(safetensors(header)) else {
      Issue.record("accepted \(header)")
      return
    }
  }

  @Test func refusesInvalidUTF8() throws {
    let text = Array(#"{"a":"#.utf8) + [0x22, 0xC3, 0x28, 0x22, 0x7D]
    guard case .headerNotJSON = try fault(bytes(UInt64(text.count)) + text) else {
      Issue.record("accepted")
      return
    }
  }

  /// Reading behind the end would raise a signal (`MemoryStorage`).
  @Test func refusesEveryTruncation() throws {
    let whole = safetensors(#"{"a":\#(entry("[2]", 0, 8)),"b":\#(entry("[1]", 8, 12))}"#, data: 12)
    _ = try SafetensorsFile(storage: MemoryStorage(whole), path: "x")
    for count in 0..<whole.count { #expect(try fault(Array(whole[..<count])) != nil, "\(count) bytes") }
  }

  @Test func neverTrapsOnDamage() throws {
    let whole = safetensors(#"{"a":\#(entry("[2]", 0, 8)),"b":\#(entry("[1]", 8, 12))}"#, data: 12)
    var random = SystemRandomNumberGenerator()
    for index in whole.indices {
      for byte: UInt8 in [0, 0x2D, 0x39, 0x7F, 0x80, 0xFF, .random(in: 0...255, using: &random)] {
        var file = whole
        file[index] = byte
        _ = try fault(file)
      }
    }
  }
}

@Suite struct SafetensorsWriterTests {
  private func entries() -> [SafetensorsEntry] {
    [
      SafetensorsEntry(name: "z", dtype: .u8, shape: [3], bytes: [1, 2, 3]),
      SafetensorsEntry(name: "b", dtype: .f32, shape: [1, 2], bytes: Array(0..<8)),
      SafetensorsEntry(name: "a", dtype: .bf16, shape: [2, 2]) { sink in
        for piece: [UInt8] in [[1, 2], [], [3, 4, 5, 6, 7, 8]] { try piece.withUnsafeBytes(sink) }
      },
      SafetensorsEntry(name: "a\"2\u{e9}", dtype: .f32, shape: [], bytes: [9, 9, 9, 9]),
    ]
  }

  @Test func writesTheReferenceBytes() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/x"
    let one = SafetensorsEntry(name: "t", dtype: .i32, shape: [2], bytes: [1, 0, 0, 0, 2, 0, 0, 0])
    try SafetensorsWriter.write([one], metadata: ["b": "2", "a": "1"], to: path)
    let header = #"{"__metadata__":{"a":"1","b":"2"},"t":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}"#
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    #expect(folder.read("x") == bytes(UInt64(padded.utf8.count)) + Array(padded.utf8) + [1, 0, 0, 0, 2, 0, 0, 0])
  }

  @Test func isReadBackAndDeterministic() throws {
    let folder = try TemporaryFolder()
    try SafetensorsWriter.write(entries(), metadata: ["k": "v"], to: "\(folder.path)/1")
    try SafetensorsWriter.write(entries().reversed(), metadata: ["k": "v"], to: "\(folder.path)/2")
    #expect(folder.read("1") == folder.read("2"))
    let file = try SafetensorsFile(path: "\(folder.path)/1")
    #expect(Array(file.tensors.keys) == ["a\"2\u{e9}", "b", "a", "z"])
    #expect(file.metadata == ["k": "v"])
    #expect(file.tensors["a"].map { Array($0.bytes) } == [1, 2, 3, 4, 5, 6, 7, 8])
    for view in file.tensors.values { #expect(view.byteOffset % view.dtype.blockBytes == 0) }
    // Write what was read: the same bytes again.
    let copies = file.tensors.map { name, view in
      SafetensorsEntry(name: name, dtype: view.dtype, shape: view.shape) { sink in try sink(view.bytes) }
    }
    try SafetensorsWriter.write(copies, metadata: file.metadata, to: "\(folder.path)/3")
    #expect(folder.read("1") == folder.read("3"))
  }

  @Test func writesNothingAtAll() throws {
    let folder = try TemporaryFolder()
    try SafetensorsWriter.write([], to: "\(folder.path)/x")
    #expect(try SafetensorsFile(path: "\(folder.path)/x").tensors.isEmpty)
  }

  static let refused: [([SafetensorsEntry], WritingFault)] = [
    ([SafetensorsEntry(name: "a", dtype: .f32, shape: [2], bytes: [1])], .byteCount(expected: 8, produced: 1)),
    ([SafetensorsEntry(name: "a", dtype: .u8, shape: [2], bytes: [1, 2, 3])], .byteCount(expected: 2, produced: 3)),
    ([SafetensorsEntry(name: "a", dtype: .q4_0, shape: [32], bytes: [])], .unsupportedType(.q4_0)),
    ([SafetensorsEntry(name: "a", dtype: .u8, shape: [0], bytes: [])], .shape([0])),
    ([SafetensorsEntry(name: "a", dtype: .f64, shape: [.max], bytes: [])], .shape([.max])),
    ([SafetensorsEntry(name: "__metadata__", dtype: .u8, shape: [1], bytes: [1])], .reservedName),
    (
      [
        SafetensorsEntry(name: "a", dtype: .u8, shape: [1], bytes: [1]),
        SafetensorsEntry(name: "a", dtype: .f32, shape: [1], bytes: [1]),
      ], .nameTwice
    ),
  ]

  @Test(arguments: refused.indices)
  func refusesEntriesAndKeepsTheOldFile(_ index: Int) throws {
    let (entries, expected) = Self.refused[index]
    let folder = try TemporaryFolder()
    let path = try folder.write("x", "old")
    let error = try checkpointError { try SafetensorsWriter.write(entries, to: path) }
    #expect(error == .writing(tensor: entries[0].name, expected))
    #expect(folder.read("x") == Array("old".utf8))
    #expect(folder.names == ["x"])
  }

  @Test func stopsWhenCancelled() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("x", "old")
    let monitor = Monitor()
    monitor.cancellation.cancel()
    #expect(throws: Cancelled.self) { try SafetensorsWriter.write(entries(), to: path, monitor: monitor) }
    #expect(folder.read("x") == Array("old".utf8))
    #expect(folder.names == ["x"])
  }
}

@Suite struct ShardedSafetensorsTests {
  /// Two shards of one tensor each and an index.
  private func folder(_ index: String) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for name in ["a", "b"] {
      try folder.write("\(name).safetensors", safetensors(#"{"\#(name)":\#(entry("[1]", 0, 4))}"#, data: 4))
    }
    try folder.write(
      "both.safetensors", safetensors(#"{"a":\#(entry("[1]", 0, 4)),"b":\#(entry("[1]", 4, 8))}"#, data: 8))
    try folder.write(ShardedSafetensors.indexName, index)
    return folder
  }

  @Test func readsAllShards() throws {
    let folder = try folder(#"{"metadata":{},"weight_map":{"b":"b.safetensors","a":"a.safetensors"}}"#)
    #expect(try Array(ShardedSafetensors.open(folder: folder.path).keys) == ["a", "b"])
  }

  static let hostile: [(String, ShardFault)] = [
    ("{}", .weightMap(expected: "an object \"weight_map\" from tensor names to file names")),
    (#"{"weight_map":{}}"#, .empty),
    (#"{"weight_map":{"a":1}}"#, .weightMap(expected: "a file name for \"a\", not an integer")),
    (#"{"weight_map":{"a":"../a.safetensors"}}"#, .unsafeName("../a.safetensors")),
    (#"{"weight_map":{"a":"/etc/passwd"}}"#, .unsafeName("/etc/passwd")),
    (#"{"weight_map":{"a":".."}}"#, .unsafeName("..")),
    (#"{"weight_map":{"a":"a.safetensors\u0000"}}"#, .unsafeName("a.safetensors\0")),
    (#"{"weight_map":{"a":"pytorch_model.bin"}}"#, .unsafeName("pytorch_model.bin")),
    (#"{"weight_map":{"a":"c.safetensors"}}"#, .missingShard("c.safetensors")),
    (
      #"{"weight_map":{"a":"a.safetensors","c":"a.safetensors"}}"#,
      .tensorMissing(tensor: "c", shard: "a.safetensors")
    ),
    (#"{"weight_map":{"a":"both.safetensors"}}"#, .tensorNotIndexed(tensor: "b", shard: "both.safetensors")),
    (
      #"{"weight_map":{"a":"a.safetensors","b":"both.safetensors"}}"#,
      .tensorTwice(tensor: "a", shards: ["a.safetensors", "both.safetensors"])
    ),
    (
      #"{"weight_map":{"a":"b.safetensors","b":"a.safetensors"}}"#,
      .tensorMissing(tensor: "a", shard: "b.safetensors")
    ),
  ]

  @Test(arguments: hostile.indices)
  func refusesContradictions(_ index: Int) throws {
    let (text, expected) = Self.hostile[index]
    let folder = try folder(text)
    let error = try checkpointError { _ = try ShardedSafetensors.open(folder: folder.path) }
    #expect(error == .shards(path: "\(folder.path)/\(ShardedSafetensors.indexName)", expected))
  }
}
