// Documents that a model writes: the same texts whatever the batches and interruptions, and files that tell their own.

import Checkpoints
import Compression
import JSON
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct DatasetGenerationTests {
  private static let prompts = (0..<11).map { number in
    Example(
      prompt: "P\(number)", promptTokens: (0...(number % 4)).map { Int32(($0 * 13 + number) % 67) },
      answer: number == 2 ? "7" : nil)
  }
  private static let options = GenerationOptions(
    maximumTokens: 9, sampling: SamplingOptions(temperature: 1.5, topP: 0.98), seed: 5, endTokens: [2, 40, 41, 42, 43])

  /// Generates; `stopAfter` cancels when so many tokens have come.
  private static func generate(
    _ name: String = "grouped-f32", prompts: [Example] = prompts, options: GenerationOptions = options, batch: Int = 4,
    path: String? = nil, monitor: Monitor = Monitor()
  ) throws -> GeneratedData {
    let model = try TestModel(tiny: name), tokenizer = model.checkpoint.tokenizer
    let head = GenerationHead(
      model: try model.state.digest(), tokenizer: tokenizerDigest(tokenizer), options: options)
    let file = try path.map { try GenerationFile(path: $0, head: head, prompts: prompts) }
    return try generateDocuments(
      model.state, tokenizer: tokenizer, prompts: prompts, options: options, batch: batch, file: file,
      compute: Engine.compute, monitor: monitor)
  }

  private static func lines(_ path: String) throws -> [JSON] {
    try #require(TemporaryFolder.read(path)).split(separator: UInt8(ascii: "\n")).map { try JSON.parse(Array($0)) }
  }

  @Test(arguments: [1, 3, 4, 11, 16])
  func batchesChangeNothing(batch: Int) throws {
    let data = try Self.generate(batch: batch), other = try Self.generate(batch: 5)
    #expect(data.documents == other.documents && data.examples == Self.prompts)
    #expect(data.resumed == 0)
    #expect(data.generatedTokens == data.documents.reduce(0) { $0 + $1.tokens.count - $1.promptTokens })
    let lengths = Set(data.documents.map { $0.tokens.count - $0.promptTokens })
    #expect(lengths.count > 2 && lengths.max() == 9, "some end early")
  }

  @Test func everyPromptHasAStreamOfItsOwn() throws {
    let same = Array(repeating: Self.prompts[0], count: 6)
    let documents = try Self.generate(prompts: same).documents
    #expect(Set(documents.map(\.tokens)).count == 6)
    // Number i draws from stream i, as model/generate does for its prompts.
    let model = try TestModel(tiny: "grouped-f32")
    var tokens = same.map { _ in [Int32]() }
    try model.transformer.generate(
      same.map(\.promptTokens), weights: model.history.current, options: Self.options, compute: Engine.compute,
      monitor: Monitor()
    ) { tokens[$0.prompt].append($0.token) }
    #expect(documents.map { Array($0.tokens.dropFirst($0.promptTokens)) } == tokens)
  }

  @Test func linesAreTheDocuments() throws {
    let folder = TemporaryFolder(), path = folder.file("out.jsonl")
    let data = try Self.generate(path: path), lines = try Self.lines(path)
    #expect(lines.count == 12 && lines[0]["espalier"] == "generated" && lines[0]["seed"] == "5")
    let tokenizer = try TestModel(tiny: "grouped-f32").checkpoint.tokenizer
    for (number, line) in lines.dropFirst().enumerated() {
      let tokens = (line["promptTokens"]?.array ?? []) + (line["completionTokens"]?.array ?? [])
      #expect(tokens.compactMap(\.integer) == data.documents[number].tokens.map(Int.init))
      #expect(line["prompt"]?.string == "P\(number)" && line["answer"] == (number == 2 ? "7" : nil))
      let completion = line["completionTokens"]?.array?.compactMap { $0.integer.map(Int32.init) } ?? []
      let ended = Self.options.endTokens.contains(completion.last ?? -1)
      #expect(line["finish"]?.string == (ended ? "endToken" : "maxTokens"))
      let shown = try tokenizer.decode(ended ? completion.dropLast() : completion, skipSpecialTokens: true)
      #expect(line["completion"]?.string == shown)
    }
    // Read back as any other file of documents.
    let file = try MappedFile(path: path)
    let (documents, examples) = try TextLines(file.bytes, source: path).documents(tokenizer)
    #expect(documents == data.documents && examples == data.examples)
  }

  /// Stopped anywhere, whole lines are there, and the same request goes on to the same file and the same documents.
  @Test(arguments: [1, 3, 9, 14, 20, 33])
  func goesOnWhereItStopped(reports: Int) throws {
    let folder = TemporaryFolder(), path = folder.file("out.jsonl"), whole = folder.file("whole.jsonl")
    let expected = try Self.generate(path: whole)
    #expect(throws: Cancelled.self) { try Self.generate(path: path, monitor: cancelling(afterReports: reports)) }
    let before = try Self.lines(path)
    #expect(before.count < 12 && TemporaryFolder.read(path)?.last == UInt8(ascii: "\n"))
    let data = try Self.generate(batch: 3, path: path)
    #expect(data.documents == expected.documents && data.examples == expected.examples)
    #expect(data.resumed == before.count - 1)
    #expect(TemporaryFolder.read(path) == TemporaryFolder.read(whole))
    let again = try Self.generate(path: path)
    #expect(again.resumed == 11 && again.generatedTokens == 0 && again.documents == expected.documents)
  }

  /// A process that ended at any byte.
  @Test func everyPrefixOfTheFileIsGoneOnWith() throws {
    let folder = TemporaryFolder()
    _ = try Self.generate(prompts: Array(Self.prompts[..<3]), path: folder.file("whole.jsonl"))
    let whole = try #require(TemporaryFolder.read(folder.file("whole.jsonl")))
    for count in stride(from: 0, through: whole.count, by: 41) {
      let path = folder.write("part.jsonl", Array(whole[..<count]))
      _ = try Self.generate(prompts: Array(Self.prompts[..<3]), path: path)
      #expect(TemporaryFolder.read(path) == whole, "\(count) bytes")
    }
  }

  @Test func morePromptsGoOn() throws {
    let folder = TemporaryFolder(), path = folder.file("out.jsonl")
    _ = try Self.generate(prompts: Array(Self.prompts[..<5]), path: path)
    let data = try Self.generate(path: path), other = try Self.generate()
    #expect(data.resumed == 5 && data.documents == other.documents)
    let fewer = #expect(throws: DataError.self) { try Self.generate(prompts: Array(Self.prompts[..<5]), path: path) }
    #expect(fewer?.kind == "generationDiffers")
  }

  @Test func otherSettingsAreRefused() throws {
    let folder = TemporaryFolder(), path = folder.file("out.jsonl")
    _ = try Self.generate(path: path)
    let bytes = TemporaryFolder.read(path)
    func expect(_ setting: String, _ body: () throws -> GeneratedData) throws {
      let error = #expect(throws: DataError.self) { try body() }
      guard case .generationDiffers(path, let found, _, _)? = error else {
        Issue.record("\(setting): \(String(describing: error))")
        return
      }
      #expect(found == setting)
    }
    try expect("model") { try Self.generate("tied-bf16", path: path) }
    var options = Self.options
    options.seed = 6
    try expect("seed") { try Self.generate(options: options, path: path) }
    options = Self.options
    options.maximumTokens = 10
    try expect("maxTokens") { try Self.generate(options: options, path: path) }
    options = Self.options
    options.sampling = SamplingOptions(temperature: 1, topP: 0.98)
    try expect("temperature") { try Self.generate(options: options, path: path) }
    options.sampling = SamplingOptions(temperature: 1.5)
    try expect("topP") { try Self.generate(options: options, path: path) }
    options.sampling = SamplingOptions(temperature: 1.5, topK: 9, topP: 0.98)
    try expect("topK") { try Self.generate(options: options, path: path) }
    var prompts = Self.prompts
    prompts[4] = Example(prompt: "P4", promptTokens: [9])
    try expect("as prompt 4") { try Self.generate(prompts: prompts, path: path) }
    prompts = Self.prompts
    prompts[2] = Example(prompt: "P2", promptTokens: prompts[2].promptTokens, answer: "8")
    try expect("as prompt 2") { try Self.generate(prompts: prompts, path: path) }
    #expect(TemporaryFolder.read(path) == bytes)
  }

  /// Somebody else's file stays as it is.
  @Test(arguments: ["notes", "notes\n", "{\"text\": \"a\"}\n", "{\"espalier\": \"generated\", \"version\": 2}\n"])
  func otherFilesAreRefused(content: String) throws {
    let folder = TemporaryFolder(), path = folder.write("out.jsonl", Array(content.utf8))
    let error = #expect(throws: DataError.self) { try Self.generate(path: path) }
    #expect(error?.kind == "generationUnreadable" && TemporaryFolder.read(path) == Array(content.utf8))
  }

  @Test func digestsOfModels() throws {
    let model = try TestModel(tiny: "grouped-f32"), dense = try model.state.digest()
    #expect(try TestModel(tiny: "grouped-f32").state.digest() == dense)
    #expect(try TestModel(tiny: "tied-bf16").state.digest() != dense)
    let edits = [MaskEdit(.prune, .columns(tensor: "model.layers.1.mlp.down_proj.weight", [3]))]
    let edited = try edit(model.state, edits).masks
    #expect(try model.commit(edited).digest() != dense)
    let cancellation = Cancellation()
    cancellation.cancel()
    #expect(throws: Cancelled.self) { try model.state.digest(monitor: Monitor(cancellation: cancellation)) }
  }
}
