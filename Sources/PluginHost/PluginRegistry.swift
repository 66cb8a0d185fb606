// Which plugins there are: those in use and those refused, by id and by file. Thread-safe.
//
// Unloading forgets a plugin; its library stays mapped (see PluginLibrary.swift), and methods handed out before go on
// working. Loading the same file again brings it back. A file that has changed meanwhile is refused until a restart:
// the loader knows libraries by path and would hand out the old code under the new file's name.

package import Compression
import Synchronization

/// What `plugin/list` shows of one plugin.
package struct PluginListing: Sendable, Equatable {
  package enum State: Sendable, Equatable {
    case loaded(PluginIdentity)
    case rejected(PluginError)
  }
  /// Absolute and free of symbolic links if the plugin is loaded, as found otherwise.
  package let path: String
  package let state: State
}

/// All that is known of a loaded plugin.
package struct PluginDetails: Sendable, Equatable {
  package let identity: PluginIdentity
  package let path: String
  /// At least one, at most one of each kind, in the order of `MethodKind`.
  package let methods: [PluginMethod]

  package func offers(_ kind: MethodKind) -> Bool { methods.contains { $0.kind == kind } }
}

package final class PluginRegistry: Sendable {
  fileprivate enum Entry {
    case loaded(PluginLibrary)
    case rejected(path: String, PluginRejection)
  }

  private let services: PluginServices
  /// In the order in which they were found.
  private let entries = Mutex<[Entry]>([])
  /// Every file mapped so far, used or not, by path. Held while a library is loaded, which makes loads one after the
  /// other, as [main-thread] promises; nothing that answers a query waits for it.
  private let mapped = Mutex<[String: FileIdentity]>([:])

  package init(services: PluginServices) { self.services = services }

  // MARK: Loading

  /// Loads what `search` finds. A bad file does not stop the others: it is listed as rejected.
  package func discover(_ search: PluginSearch = .standard()) {
    for folder in search.folders {
      do throws(PluginRejection) {
        for path in try PluginSearch.files(in: folder) { discover(path) }
      } catch {
        reject(folder.path, error)
      }
    }
  }

  private func discover(_ path: String) {
    do throws(PluginError) {
      _ = try load(path: path)
    } catch {
      guard case .rejected(_, let rejection) = error else { return }
      reject(path, rejection)
    }
  }

  private func reject(_ path: String, _ rejection: PluginRejection) {
    entries.withLock { entries in
      entries.removeAll { $0.isRejection(of: path) }
      entries.append(.rejected(path: path, rejection))
    }
  }

  /// Loads one file. A file that is loaded already, also under another name, is left as it is.
  /// - Throws: `rejected`. The list does not change then.
  @discardableResult
  package func load(path: String) throws(PluginError) -> PluginDetails {
    do throws(PluginRejection) {
      return try mapped.withLock { mapped throws(PluginRejection) in try load(path, mapped: &mapped) }
    } catch {
      throw .rejected(path: path, error)
    }
  }

  private func load(_ path: String, mapped: inout [String: FileIdentity]) throws(PluginRejection) -> PluginDetails {
    let inspected = try InspectedPlugin(path: path)
    if let earlier = mapped[inspected.path], earlier != inspected.identity { throw .changedSinceLoaded }
    let mapping = try MappedLibrary(inspected)
    mapped[inspected.path] = inspected.identity
    let library = try PluginLibrary(mapping, inspected: inspected)
    return try entries.withLock { entries throws(PluginRejection) in
      if let first = entries.compactMap(\.library).first(where: { $0.identity.id == library.identity.id }) {
        guard first.path == library.path else { throw .duplicate(id: first.identity.id, first: first.path) }
        return PluginDetails(first)
      }
      entries.removeAll { $0.isRejection(of: path) || $0.isRejection(of: library.path) }
      entries.append(.loaded(library))
      return PluginDetails(library)
    }
  }

  /// Forgets a plugin.
  /// - Throws: `notFound`.
  package func unload(id: String) throws(PluginError) {
    try entries.withLock { entries throws(PluginError) in
      guard let index = entries.firstIndex(where: { $0.library?.identity.id == id }) else {
        throw Self.notFound(id, in: entries)
      }
      entries.remove(at: index)
    }
  }

  // MARK: Asking

  /// Everything found, in the order in which it was found.
  package func list() -> [PluginListing] { entries.withLock { $0.map(\.listing) } }

  /// - Throws: `notFound`.
  package func describe(id: String) throws(PluginError) -> PluginDetails { PluginDetails(try library(id)) }

  // A method of a kind, by its plugin's id. Each throws `notFound`; `otherKind` if the plugin offers no such method.

  package func selector(id: String) throws(PluginError) -> any Selector {
    try method(id, .selector, \.selector, PluginSelector.init)
  }
  package func unitSelector(id: String) throws(PluginError) -> any UnitSelector {
    try method(id, .unitSelector, \.unitSelector, PluginUnitSelector.init)
  }
  package func solver(id: String) throws(PluginError) -> any Solver {
    try method(id, .solver, \.solver, PluginSolver.init)
  }
  package func compensator(id: String) throws(PluginError) -> any Compensator {
    try method(id, .compensator, \.compensator, PluginCompensator.init)
  }
  package func blockCompensator(id: String) throws(PluginError) -> any BlockCompensator {
    try method(id, .blockCompensator, \.blockCompensator, PluginBlockCompensator.init)
  }
  package func refiner(id: String) throws(PluginError) -> any Refiner {
    try method(id, .refiner, \.refiner, PluginRefiner.init)
  }
  package func allocator(id: String) throws(PluginError) -> any Allocator {
    try method(id, .allocator, \.allocator, PluginAllocator.init)
  }
  package func objective(id: String) throws(PluginError) -> any Objective {
    try method(id, .objective, \.objective, PluginObjective.init)
  }
  package func featureObjective(id: String) throws(PluginError) -> any FeatureObjective {
    try method(id, .featureObjective, \.featureObjective, PluginFeatureObjective.init)
  }
  package func reward(id: String) throws(PluginError) -> any Reward {
    try method(id, .reward, \.reward, PluginReward.init)
  }

  private func method<Offer, Method>(
    _ id: String, _ kind: MethodKind, _ part: KeyPath<PluginOffers, Offer?>, _ make: (Offer, PluginServices) -> Method
  ) throws(PluginError) -> Method {
    let library = try library(id)
    if let offer = library.offers[keyPath: part] { return make(offer, services) }
    let others = entries.withLock { $0.compactMap(\.library) }.filter { $0.offers[keyPath: part] != nil }
    throw .otherKind(
      id: id, wanted: kind, offers: library.offers.methods.map(\.kind), available: others.map(\.identity.id).sorted())
  }

  private func library(_ id: String) throws(PluginError) -> PluginLibrary {
    try entries.withLock { entries throws(PluginError) in
      guard let library = entries.compactMap(\.library).first(where: { $0.identity.id == id }) else {
        throw Self.notFound(id, in: entries)
      }
      return library
    }
  }

  private static func notFound(_ id: String, in entries: [Entry]) -> PluginError {
    .notFound(id: id, loaded: entries.compactMap(\.library?.identity.id).sorted())
  }
}

extension PluginRegistry.Entry {
  fileprivate var library: PluginLibrary? {
    if case .loaded(let library) = self { library } else { nil }
  }

  fileprivate func isRejection(of path: String) -> Bool {
    if case .rejected(path, _) = self { true } else { false }
  }

  fileprivate var listing: PluginListing {
    switch self {
    case .loaded(let library): PluginListing(path: library.path, state: .loaded(library.identity))
    case .rejected(let path, let rejection):
      PluginListing(path: path, state: .rejected(.rejected(path: path, rejection)))
    }
  }
}

extension PluginDetails {
  fileprivate init(_ library: PluginLibrary) {
    identity = library.identity
    path = library.path
    methods = library.offers.methods
  }
}
