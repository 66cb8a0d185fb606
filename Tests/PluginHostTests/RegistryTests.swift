// Finding, listing, forgetting and finding again.

import Compression
import Foundation
import PluginHost
import Testing

@Suite struct RegistryTests {
  func registry() -> PluginRegistry { PluginRegistry(services: Ear().services) }

  func ids(_ registry: PluginRegistry) -> [String] {
    registry.list().map { listing in
      switch listing.state {
      case .loaded(let identity): identity.id
      case .rejected(.rejected(_, let rejection)): "rejected: \(rejection.reason)"
      case .rejected(let error): "unexpected: \(error)"
      }
    }
  }

  @Test func aBadFileDoesNotStopTheOthers() throws {
    let workshop = try Workshop()
    try workshop.compile(Specimen.source, to: "a.so", definitions: ["ID": "\"first\""])
    try workshop.write("not a library", to: "b.so")
    try workshop.compile(Specimen.source, to: "c.so", definitions: ["ID": "\"first\""])
    try workshop.compile(Specimen.source, to: "d.so", definitions: ["ID": "\"second\""])
    try workshop.compile(Specimen.source, to: "e.so", definitions: ["MAJOR": "9"])
    try workshop.write("not looked at", to: "readme.txt")
    try workshop.write("not looked at", to: ".hidden.so")
    let registry = registry()
    registry.discover(
      PluginSearch(folders: [workshop.folder.path, workshop.path("none"), "relative"].map { .init(path: $0) }))
    #expect(
      ids(registry) == [
        "first", "rejected: notELF", "rejected: duplicateId", "second", "rejected: abiMajor", "rejected: unreadable",
        "rejected: folderNotAbsolute",
      ])
    let duplicate = registry.list()[2]
    #expect(duplicate.path == workshop.path("c.so"))
    guard case .rejected(let error) = duplicate.state else { return }
    #expect(error.message.contains(workshop.path("a.so")))
  }

  @Test func onlyFilesWithThePrefixAreTaken() throws {
    let workshop = try Workshop()
    try workshop.compile(Specimen.source, to: "libespalier-mine.so", definitions: ["ID": "\"mine\""])
    try workshop.compile(Specimen.source, to: "libother.so", definitions: ["ID": "\"other\""])
    let registry = registry()
    registry.discover(PluginSearch(folders: [.init(path: workshop.folder.path + "/", prefix: "libespalier-")]))
    #expect(ids(registry) == ["mine"])
  }

  @Test func whatIsUnloadedCanBeLoadedAgain() throws {
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "specimen.so")
    let registry = registry()
    let details = try registry.load(path: path)
    #expect(try registry.load(path: path) == details)
    #expect(ids(registry) == ["specimen"])

    let selector = try registry.selector(id: "specimen")
    try registry.unload(id: "specimen")
    #expect(ids(registry) == [])
    #expect(throws: PluginError.notFound(id: "specimen", loaded: [])) { try registry.selector(id: "specimen") }
    #expect(throws: PluginError.notFound(id: "specimen", loaded: [])) { try registry.describe(id: "specimen") }
    #expect(throws: PluginError.notFound(id: "specimen", loaded: [])) { try registry.unload(id: "specimen") }

    // Handed out before, and still whole.
    let sample = Sample(rows: 3, columns: 3)
    #expect(try sample.score(with: selector, Specimen.parameters(.scale)) == sample.weights)
    #expect(try registry.load(path: path) == details)
  }

  @Test func aLinkIsTheSamePlugin() throws {
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "specimen.so")
    try FileManager.default.createSymbolicLink(atPath: workshop.path("link.so"), withDestinationPath: path)
    let registry = registry()
    #expect(try registry.load(path: workshop.path("link.so")).path == path)
    #expect(try registry.load(path: path).path == path)
    #expect(ids(registry) == ["specimen"])
  }

  @Test func aChangedFileNeedsARestart() throws {
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "specimen.so")
    let registry = registry()
    let details = try registry.load(path: path)
    try workshop.compile(Specimen.source, to: "specimen.so", definitions: ["VERSION": "\"0.2.0\""])
    let error = PluginError.rejected(path: path, .changedSinceLoaded)
    #expect(throws: error) { try registry.load(path: path) }
    #expect(try registry.describe(id: "specimen") == details)
    try registry.unload(id: "specimen")
    #expect(throws: error) { try registry.load(path: path) }
    // Under another path the new build is loaded.
    try FileManager.default.copyItem(atPath: path, toPath: workshop.path("newer.so"))
    #expect(try registry.load(path: workshop.path("newer.so")).identity.version == "0.2.0")
  }

  /// A file whose code has run but was refused is mapped all the same.
  @Test func aRefusedMappedFileThatIsMendedNeedsARestart() throws {
    let workshop = try Workshop()
    let registry = registry()
    let path = try workshop.compile(Specimen.source, to: "x.so", definitions: ["ID": "\"Bad Id\""])
    #expect(throws: PluginError.self) { try registry.load(path: path) }
    try workshop.compile(Specimen.source, to: "x.so")
    #expect(throws: PluginError.rejected(path: path, .changedSinceLoaded)) { try registry.load(path: path) }
  }

  @Test func aRefusedUnmappedFileThatIsMendedIsLoaded() throws {
    let workshop = try Workshop()
    let registry = registry()
    try workshop.compile(Specimen.source, to: "x.so", definitions: ["MAJOR": "3"])
    registry.discover(PluginSearch(folders: [.init(path: workshop.folder.path)]))
    #expect(ids(registry) == ["rejected: abiMajor"])
    registry.discover(PluginSearch(folders: [.init(path: workshop.folder.path)]))
    #expect(ids(registry) == ["rejected: abiMajor"])
    try workshop.compile(Specimen.source, to: "x.so")
    try registry.load(path: workshop.path("x.so"))
    #expect(ids(registry) == ["specimen"])
  }

  @Test func aLoadThatFailsChangesNothing() throws {
    let workshop = try Workshop()
    let registry = registry()
    try registry.load(path: workshop.compile(Specimen.source, to: "a.so"))
    let second = try workshop.compile(Specimen.source, to: "b.so")
    #expect(throws: PluginError.rejected(path: second, .duplicate(id: "specimen", first: workshop.path("a.so")))) {
      try registry.load(path: second)
    }
    #expect(ids(registry) == ["specimen"])
    #expect(throws: PluginError.notFound(id: "wanda", loaded: ["specimen"])) { try registry.selector(id: "wanda") }
  }

  @Test func manyThreadsLoadOnePlugin() throws {
    let workshop = try Workshop()
    let path = try workshop.compile(Specimen.source, to: "specimen.so")
    let registry = registry()
    DispatchQueue.concurrentPerform(iterations: 32) { _ in _ = try? registry.load(path: path) }
    #expect(ids(registry) == ["specimen"])
  }

  // MARK: Search

  @Test(arguments: [
    ("", []), (":", []), ("::", []), ("/a", ["/a"]), ("/a:/b/", ["/a", "/b/"]), (":/a::b:", ["/a", "b"]),
    ("/with space", ["/with space"]),
  ])
  func thePathVariableIsAListOfFolders(variable: String, folders: [String]) {
    #expect(PluginSearch.folders(inVariable: variable) == folders.map { PluginSearch.Folder(path: $0) })
  }

  @Test func theStandardSearchBeginsBesideTheExecutable() throws {
    let folder = try #require(PluginSearch.executableFolder())
    #expect(PluginSearch.standard().folders.first == .init(path: folder, prefix: "libespalier-"))
  }

  @Test(
    arguments: [
      ([6, 4096, 23, 0, 0, 0], false), ([6, 4096, 23, 1, 0, 0], true), ([23, 7], true), ([6, 4096], true), ([], true),
      ([23], true),
    ] as [([UInt64], Bool)])
  func raisedRightsAreNoticed(vector: [UInt64], raised: Bool) {
    #expect(PluginSearch.hasRaisedRights(auxiliaryVector: vector[...]) == raised)
  }
}
