// What is refused, with which words, and that nothing of it has run.

import Compression
import Foundation
import Glibc
import PluginHost
import Testing

@Suite struct LoadingTests {
  static let library = ["-shared", "-fPIC", "-fvisibility=hidden"]

  static func rejection(of path: String) -> PluginRejection? {
    let registry = PluginRegistry(services: Ear().services)
    do throws(PluginError) {
      try registry.load(path: path)
      return nil
    } catch {
      guard case .rejected(path, let rejection) = error else { return nil }
      return rejection
    }
  }

  @Test func aThirdPartysPluginIsLoadedAndDescribed() throws {
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "specimen.so", marker: "ran")
    let registry = PluginRegistry(services: Ear().services)
    let details = try registry.load(path: path)
    // The control of the tests below: a library that is accepted does run its constructor.
    #expect(workshop.exists("ran"))
    #expect(details.identity.id == "specimen")
    #expect(details.identity.version == "0.1.0")
    #expect(details.identity.summary == "Does what it is told")
    #expect(details.identity.vendor == "Some One")
    #expect(details.identity.licence == "MIT")
    #expect(details.identity.url == nil)
    #expect(
      details.selector
        == SelectorDescription(
          method: MethodDescription(
            id: "specimen", version: "0.1.0", summary: "Does what it is told", statistics: .moments,
            parameters: [
              ParameterDescription(
                name: "behaviour", summary: "What to do", kind: .integer(default: 0, minimum: 0, maximum: 100)),
              ParameterDescription(
                name: "amount", summary: "Factor", kind: .number(default: 1, minimum: -2, maximum: 2.5)),
              ParameterDescription(name: "negate", summary: "Turns the sign", kind: .boolean(default: false)),
            ]),
          defaultGroup: .column))
    #expect(details.methods.map(\.kind) == [.selector])
    #expect(try registry.describe(id: "specimen") == details)
    #expect(try registry.selector(id: "specimen").description == details.selector)
  }

  /// Libraries that must be refused before they are mapped: macros of the specimen, and the expected verdict.
  static let refusedUnmapped: [(definitions: [String: String], rejection: PluginRejection)] = [
    (["MAJOR": "0"], .abiMajor(found: 0, supported: 1)),
    (["MAJOR": "2"], .abiMajor(found: 2, supported: 1)),
    (["MAJOR": "2", "STRUCT_SIZE": "8"], .abiMajor(found: 2, supported: 1)),
    (["MAJOR": "0xffffffff"], .abiMajor(found: .max, supported: 1)),
    (["MINOR": "3"], .abiMinor(found: 3, supported: 2)),
    (["STRUCT_SIZE": "0"], .structSize(name: "espalier_plugin_descriptor", found: 0, expected: 72)),
    (["STRUCT_SIZE": "64"], .structSize(name: "espalier_plugin_descriptor", found: 64, expected: 72)),
    (["STRUCT_SIZE": "73"], .structSize(name: "espalier_plugin_descriptor", found: 73, expected: 72)),
    (["STRUCT_SIZE": "80"], .structSize(name: "espalier_plugin_descriptor", found: 80, expected: 72)),
    (["STRUCT_SIZE": "0xfffffff8"], .structSize(name: "espalier_plugin_descriptor", found: 0xffff_fff8, expected: 72)),
  ]

  @Test(arguments: refusedUnmapped.indices)
  func aWrongAbiIsRefusedAndNothingRuns(index: Int) throws {
    let (definitions, rejection) = Self.refusedUnmapped[index]
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "bad.so", definitions: definitions, marker: "ran")
    #expect(Self.rejection(of: path) == rejection)
    #expect(!workshop.exists("ran"))
  }

  @Test(arguments: [
    ("int other = 1;", PluginRejection.symbolMissing),
    ("const char espalier_plugins[72] = {72, 1};", .symbolMissing),
    ("extern const char espalier_plugin[72]; const char *use(void) { return espalier_plugin; }", .symbolMissing),
    ("__attribute__((visibility(\"hidden\"))) const char espalier_plugin[72] = {72, 0, 0, 0, 1};", .symbolMissing),
    ("void espalier_plugin(void) {}", .symbolNotData),
    ("char espalier_plugin[72];", .damaged(detail: "the descriptor lies outside all segments")),
    ("const char espalier_plugin[4] = {72, 0, 0, 0};", .abiMajor(found: 0, supported: 1)),
    (
      "const char espalier_plugin[12] = {72, 0, 0, 0, 1};",
      .structSize(name: "espalier_plugin_descriptor", found: 72, expected: 12)
    ),
  ])
  func aLibraryWithoutADescriptorIsRefusedAndNothingRuns(source: String, rejection: PluginRejection) throws {
    let workshop = try Workshop()
    // Zeros behind a small object, so that what is read there is no version.
    let path = try workshop.compile(
      source + "\nconst char behind[64] = {0};", to: "bad.so", flags: ["-shared", "-fPIC"], marker: "ran")
    #expect(Self.rejection(of: path)?.reason == rejection.reason)
    #expect(!workshop.exists("ran"))
  }

  @Test func filesThatAreNoLibrariesAreRefused() throws {
    let workshop = try Workshop()
    #expect(Self.rejection(of: try workshop.write("", to: "empty.so")) == .notELF)
    #expect(Self.rejection(of: try workshop.write("#!/bin/sh\nexit 0\n", to: "text.so")) == .notELF)
    #expect(Self.rejection(of: try workshop.write(String(repeating: "x", count: 5000), to: "x.so")) == .notELF)
    #expect(Self.rejection(of: workshop.folder.path) == .notRegularFile)
    #expect(Self.rejection(of: "/dev/null") == .notRegularFile)
    #expect(Self.rejection(of: workshop.path("none.so")) == .unreadable(reason: "No such file or directory"))
    #expect(Self.rejection(of: "bad\0path") == .unreadable(reason: "the path contains a zero byte"))
    mkfifo(workshop.path("pipe.so"), 0o600)
    #expect(Self.rejection(of: workshop.path("pipe.so")) == .notRegularFile)
  }

  @Test(arguments: [["-c"], ["-no-pie"], ["-pie", "-fPIE", "-rdynamic"], ["-static"]])
  func elfFilesThatAreNoLibrariesAreRefused(flags: [String]) throws {
    let workshop = try Workshop()
    let path = try workshop.compile(
      Specimen.source + "\nint main(void) { return 0; }", to: "program.so", flags: flags, marker: "ran")
    #expect(Self.rejection(of: path) == .notSharedLibrary)
    #expect(!workshop.exists("ran"))
  }

  @Test(arguments: ["sysv", "gnu", "both"])
  func bothHashTablesAreRead(style: String) throws {
    let workshop = try Workshop()
    let path = try workshop.compile(
      Specimen.source, to: "hash.so", flags: Self.library + ["-Wl,--hash-style=\(style)", "-s"])
    #expect(Self.rejection(of: path) == nil)
    let exporting = ["-shared", "-fPIC", "-Wl,--hash-style=\(style)"]
    let missing = try workshop.compile("int a, b, c, d, espalier;", to: "missing.so", flags: exporting)
    #expect(Self.rejection(of: missing) == .symbolMissing)
    // Wanted from elsewhere, not defined here.
    let wanted = try workshop.compile(
      "extern const char espalier_plugin[72]; const char *use(void) { return espalier_plugin; }", to: "wanted.so",
      flags: exporting)
    #expect(Self.rejection(of: wanted) == .symbolMissing)
  }

  @Test func aCutFileIsRefusedAtEveryLength() throws {
    let workshop = try Workshop()
    let whole = try Data(contentsOf: URL(filePath: workshop.compile(Specimen.source, to: "whole.so")))
    for length in Array(0..<600) + Array(stride(from: 600, to: whole.count, by: 97)) + [whole.count - 1] {
      let path = try workshop.write(whole.prefix(length), to: "cut.so")
      #expect(throws: PluginRejection.self, "\(length) of \(whole.count) bytes") { try InspectedPlugin(path: path) }
    }
    #expect(throws: Never.self) { try InspectedPlugin(path: workshop.write(whole, to: "cut.so")) }
  }

  /// The loader can do without section headers, but would fault on a segment whose end is missing.
  @Test func aCutSegmentIsRefusedWithoutSectionHeaders() throws {
    let workshop = try Workshop()
    var whole = try Data(contentsOf: URL(filePath: workshop.compile(Specimen.source, to: "whole.so")))
    whole.replaceSubrange(40..<48, with: repeatElement(0, count: 8))
    whole.replaceSubrange(60..<62, with: repeatElement(0, count: 2))
    func number(_ offset: Int, bytes: Int) -> Int {
      whole[offset..<offset + bytes].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    let headers = (0..<number(56, bytes: 2)).map { number(32, bytes: 8) + 56 * $0 }
    let segments = headers.filter { number($0, bytes: 4) == 1 }
    let end = try #require(segments.map { number($0 + 8, bytes: 8) + number($0 + 32, bytes: 8) }.max())
    try #require(end < whole.count)
    #expect(throws: Never.self) { try InspectedPlugin(path: workshop.write(whole.prefix(end), to: "cut.so")) }
    #expect(throws: PluginRejection.damaged(detail: "a segment lies outside the file")) {
      try InspectedPlugin(path: workshop.write(whole.prefix(end - 1), to: "cut.so"))
    }
  }

  @Test func otherMachinesAndFormatsAreRefused() throws {
    let workshop = try Workshop()
    let whole = try Data(contentsOf: URL(filePath: workshop.compile(Specimen.source, to: "whole.so")))
    func patched(_ offset: Int, _ value: UInt8) throws -> PluginRejection? {
      var data = whole
      data[offset] = value
      return Self.rejection(of: try workshop.write(data, to: "patched.so"))
    }
    #expect(try patched(4, 1) == .notELF)
    #expect(try patched(5, 2) == .notELF)
    #expect(try patched(16, 4) == .notSharedLibrary)
    let machine = UInt16(whole[18])
    #expect(try patched(18, 8) == .otherMachine(found: 8, expected: machine))
    #expect(try patched(54, 0) == .damaged(detail: "the program headers have an unknown form"))
    #expect(try patched(57, 0xff) == .damaged(detail: "the program headers have an unknown form"))
    #expect(try patched(35, 0xff) == .damaged(detail: "the program header table lies outside the file"))
    #expect(try patched(47, 0xff) == .damaged(detail: "the section headers lie outside the file"))
  }

  /// Damage of any kind ends in a verdict. The seed and the round stand in the failure.
  @Test(arguments: [1, 2, 3] as [UInt64], ["gnu", "sysv"])
  func damagedFilesNeverCrashTheReader(seed: UInt64, style: String) throws {
    let workshop = try Workshop()
    let whole = try Data(
      contentsOf: URL(
        filePath: workshop.compile(
          Specimen.source, to: "whole.so", flags: Self.library + ["-Wl,--hash-style=\(style)"])))
    var state = seed
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    var refused = 0
    for _ in 0..<700 {
      var data = whole
      // Mostly where the tables are; sometimes runs of ones, which make sizes huge.
      for _ in 0...next(3) {
        let at = next(2) == 0 ? next(1000) : next(whole.count - 8)
        for i in 0..<(next(2) == 0 ? 1 : 8) { data[at + i] = next(3) == 0 ? 0xff : UInt8(next(256)) }
      }
      let path = try workshop.write(data, to: "damaged.so")
      do throws(PluginRejection) {
        _ = try InspectedPlugin(path: path)
      } catch {
        refused += 1
      }
    }
    #expect(refused > 100)
  }

  @Test func aLibraryThatTheLoaderRefusesIsAnError() throws {
    let workshop = try Workshop()
    let path = try workshop.compile(
      Specimen.source + "\nvoid nowhere(void); void use(void) { nowhere(); }\nvoid (*const uses)(void) = use;",
      to: "unresolved.so", marker: "ran")
    guard case .notLoadable(let reason) = Self.rejection(of: path) else {
      Issue.record("not refused")
      return
    }
    #expect(reason.contains("nowhere"))
    #expect(!workshop.exists("ran"))
  }

  @Test func whatAnyoneMayWriteIsRefused() throws {
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "open.so", marker: "ran")
    chmod(path, 0o666)
    #expect(Self.rejection(of: path) == .writableByAnyone(path: path))
    chmod(path, 0o664)
    chmod(workshop.folder.path, 0o777)
    #expect(Self.rejection(of: path) == .writableByAnyone(path: workshop.folder.path))
    #expect(!workshop.exists("ran"))
    chmod(workshop.folder.path, 0o1777)
    #expect(Self.rejection(of: path) == nil)
    chmod(workshop.folder.path, 0o775)
    #expect(Self.rejection(of: path) == nil)
  }

  static let badFields: [(definitions: [String: String], field: String)] = [
    (["ID": "NULL"], "id"),
    (["ID": "\"\""], "id"),
    (["ID": "\"Specimen\""], "id"),
    (["ID": "\"two--dashes\""], "id"),
    (["ID": "\"ends-\""], "id"),
    (["ID": "\"1st\""], "id"),
    (["ID": "\"with space\""], "id"),
    (["ID": "\"\(String(repeating: "a", count: 65))\""], "id"),
    (["VERSION": "NULL"], "version"),
    (["VERSION": "\"\(String(repeating: "1", count: 65))\""], "version"),
    (["SUMMARY": "\"bad \\xff utf-8\""], "summary"),
    (["SUMMARY": "\"two\\nlines\""], "summary"),
    (["VENDOR": "\"\\x1b[31m\""], "vendor"),
    (["GET_EXTENSION": "NULL"], "get_extension"),
    (["SCORE": "NULL"], "espalier_selector.score"),
    (["STATISTICS": "32"], "espalier_selector.statistics"),
    (["STATISTICS": "0x80000001"], "espalier_selector.statistics"),
    (["GROUP": "4"], "espalier_selector.default_group"),
    (["GROUP": "-1"], "espalier_selector.default_group"),
    (["PARAMETER_COUNT": "65"], "espalier_selector.parameters"),
    (["PARAMETERS": "NULL"], "espalier_selector.parameters"),
    (["PARAMETER_COUNT": "4"], "espalier_selector.parameters[3]"),
    (["AMOUNT": parameter(name: "NULL")], "espalier_selector.parameters[1].name"),
    (["AMOUNT": parameter(name: "\"no-camel\"")], "espalier_selector.parameters[1].name"),
    (["AMOUNT": parameter(name: "\"behaviour\"")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(summary: "NULL")], "espalier_selector.parameters[1].summary"),
    (["AMOUNT": parameter(type: "5")], "espalier_selector.parameters[1].type"),
    (["AMOUNT": parameter(type: "4")], "espalier_selector.parameters[1]"),
    (["AMOUNT": text("NULL")], "espalier_selector.parameters[1].default_text"),
    (["AMOUNT": text("\"a text\"")], "espalier_selector.parameters[1].type"),
    (["AMOUNT": parameter() + ",.default_text=\"\""], "espalier_selector.parameters[1].default_text"),
    (["AMOUNT": parameter(type: "3")], "espalier_selector.parameters[1].choices"),
    (["AMOUNT": parameter() + ",.choice_count=2"], "espalier_selector.parameters[1].choices"),
    (["AMOUNT": choice(count: 1)], "espalier_selector.parameters[1].choices"),
    (["AMOUNT": choice(count: 33)], "espalier_selector.parameters[1].choices"),
    (["AMOUNT": choice(words: "one", "one")], "espalier_selector.parameters[1].choices[1]"),
    (["AMOUNT": choice(words: "one", "Two")], "espalier_selector.parameters[1].choices[1]"),
    (["AMOUNT": choice(bounds: "0", "0", "2")], "espalier_selector.parameters[1]"),
    (["AMOUNT": choice(bounds: "0.5", "0", "1")], "espalier_selector.parameters[1]"),
    (["MORE": ".parameters=PARAMETERS,.term_count=9"], "espalier_selector.terms"),
    (["MORE": ".parameters=PARAMETERS,.term_count=1"], "espalier_selector.terms"),
    (
      ["MORE": ".parameters=PARAMETERS,.term_count=1,.terms=(const char*const[]){\"No\"}"],
      "espalier_selector.terms[0]"
    ),
    (["MORE": ".parameters=PARAMETERS,.compensator=\"No Such\""], "espalier_selector.compensator"),
    (["AMOUNT": parameter(bounds: "3", "0", "2")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(bounds: "1", "2", "0")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(bounds: "-1", "0", "2")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(bounds: "0.0/0.0", "0", "2")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(bounds: "0", "0", "INFINITY")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(type: "1", bounds: "0.5", "0", "2")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(type: "1", bounds: "0", "0", "1e16")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(type: "2", bounds: "0", "0", "2")], "espalier_selector.parameters[1]"),
    (["AMOUNT": parameter(type: "2", bounds: "0.5", "0", "1")], "espalier_selector.parameters[1]"),
  ]

  static func parameter(
    type: String = "0", name: String = "\"amount\"", summary: String = "\"Factor\"",
    bounds value: String = "1", _ minimum: String = "0", _ maximum: String = "2"
  ) -> String {
    ".type=\(type),.name=\(name),.summary=\(summary),.default_value=\(value),.minimum=\(minimum),.maximum=\(maximum)"
  }

  static func text(_ value: String) -> String {
    parameter(type: "4", bounds: "0", "0", "0") + ",.default_text=\(value)"
  }

  static func choice(
    words: String..., count: Int? = nil, bounds value: String = "0", _ minimum: String = "0", _ maximum: String = "1"
  ) -> String {
    let words = words.isEmpty ? ["one", "two"] : words
    return parameter(type: "3", bounds: value, minimum, maximum)
      + ",.choice_count=\(count ?? words.count),.choices=(const char*const[]){"
      + words.map { "\"\($0)\"" }.joined(separator: ",") + "}"
  }

  @Test(arguments: badFields.indices)
  func aBadFieldIsNamed(index: Int) throws {
    let (definitions, field) = Self.badFields[index]
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "bad.so", definitions: definitions)
    guard case .fieldInvalid(field, _) = Self.rejection(of: path) else {
      Issue.record("\(definitions): \(String(describing: Self.rejection(of: path)))")
      return
    }
  }

  @Test(arguments: ["\"espalier.selector/2\"", "\"\""])
  func aPluginOfAnUnknownKindIsRefused(id: String) throws {
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "kind.so", definitions: ["EXTENSION": id])
    #expect(Self.rejection(of: path) == .nothingOffered(known: [
      "espalier.selector/1", "espalier.unit-selector/1", "espalier.solver/1", "espalier.compensator/1",
      "espalier.block-compensator/1", "espalier.refiner/1", "espalier.allocator/1", "espalier.objective/1",
      "espalier.feature-objective/1", "espalier.reward/1",
    ]))
  }

  @Test(arguments: [0, 24, 33, 8192] as [UInt32])
  func aSelectorOfWrongSizeIsRefused(size: UInt32) throws {
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "size.so", definitions: ["SELECTOR_SIZE": "\(size)"])
    #expect(Self.rejection(of: path) == .structSize(name: "espalier_selector", found: size, expected: 32))
  }

  /// Built with a header of a later minor version, whose structs have grown.
  @Test func aPluginFromTheFutureWorksIfItAsksForThisVersion() throws {
    let workshop = try Workshop()
    var header = try Project.header().split(separator: "\n")
      .filter { !$0.hasPrefix("ESPALIER_ASSERT(sizeof(espalier_") }.joined(separator: "\n")
    for name in ["espalier_plugin_descriptor", "espalier_selector", "espalier_parameter"] {
      header = header.replacingOccurrences(of: "} \(name);", with: "uint64_t future; } \(name);")
    }
    header = header.replacingOccurrences(of: "ESPALIER_ABI_MINOR 2", with: "ESPALIER_ABI_MINOR 7")
    try FileManager.default.createDirectory(atPath: workshop.path("future"), withIntermediateDirectories: true)
    try workshop.write(header, to: "future/espalier_plugin.h")
    func compile(_ name: String, minor: String) throws -> String {
      try workshop.compile(
        Specimen.source, to: name, flags: Self.library + ["-Wno-missing-field-initializers"],
        definitions: ["MINOR": minor], includes: workshop.path("future"))
    }
    #expect(Self.rejection(of: try compile("old.so", minor: "0")) == nil)
    #expect(
      Self.rejection(of: try compile("new.so", minor: "ESPALIER_ABI_MINOR")) == .abiMinor(found: 7, supported: 2))
  }

  /// Built with the header of an older version: its structs are shorter, and what it does not know is as if it were 0.
  @Test(arguments: ["1.0", "1.1"]) func aPluginOfAnOlderVersionWorks(version: String) throws {
    let workshop = try Workshop()
    let old = Project.root.appending(path: "Tests/PluginHostTests/Fixtures/\(version)").path
    let path = try workshop.compile(Specimen.source, to: "old.so", includes: old)
    let registry = PluginRegistry(services: Ear().services)
    let details = try registry.load(path: path)
    let today = try PluginRegistry(services: Ear().services).load(path: workshop.compile(Specimen.source, to: "new.so"))
    #expect(details.methods == today.methods)
    #expect(details.selector?.terms == [])
    #expect(details.selector?.compensator == nil)
    let selector = try registry.selector(id: "specimen")
    let parameters = Specimen.parameters(.scale, amount: 2)
    #expect(selector.statistics(parameters: parameters, hasDataset: false) == .moments)
    let sample = Sample(rows: 5, columns: 7)
    #expect(try sample.score(with: selector, parameters) == sample.weights.map { 2 * $0 })
  }

  /// All kinds of version 1.1, a choice among their parameters.
  @Test func theKindsOfVersionOneOneWork() throws {
    let workshop = try Workshop()
    let old = Project.root.appending(path: "Tests/PluginHostTests/Fixtures/1.1").path
    let registry = PluginRegistry(services: Ear().services)
    let details = try registry.load(path: KindSpecimen.path(in: workshop, includes: old))
    let today = try KindSpecimen.registry.get().describe(id: "kinds")
    #expect(details.methods == today.methods)
    #expect(details.methods.count == 7)
  }
}
