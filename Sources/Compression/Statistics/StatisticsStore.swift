// Statistics remembered under keys that name everything they depend on. What memory has no room for goes to a nameless
// file, and comes back from there bit for bit; what the disk has no room for either is forgotten. In both, the least
// recently used goes first.

import OrderedCollections
import Synchronization
import Tensors
import Workspace

/// One memory of statistics for all models. Nothing is ever invalidated: a key lists the identities of all that the
/// value depends on.
package final class StatisticsStore: Sendable {
  /// What the store holds and how it served.
  package struct Counters: Sendable, Equatable {
    package var memoryBytes = 0
    package var diskBytes = 0
    /// Hidden states between layers, in memory.
    package var stateBytes = 0
    package var hits = 0
    package var misses = 0
    /// Pieces that did not come back from disk as they were written.
    package var damaged = 0
  }

  private struct Entry {
    /// Nil while it is on disk only.
    var value: StoredStatistic?
    var spilled: SpilledStatistic?
    let bytes: Int
  }

  private struct State {
    /// Least recently used first.
    var entries: OrderedDictionary<StatisticsKey, Entry> = [:]
    var memoryBytes = 0
    var file: SpillFile?
    /// Why there is no file although one was wanted.
    var problem: String?
  }

  /// What statistics may take in memory and on disk, and hidden states in memory.
  package let memoryBytes, diskBytes, stateBytes: Int
  /// What enters layers, under the key of all before them: where to begin anew after an edit.
  let states: ResultCache<CalibrationKey, FloatBuffer>
  private let folder: String
  /// Held while the disk is at work; counters have a lock of their own so that they can always be read at once.
  private let state = Mutex(State())
  private let latest = Mutex(Counters())

  /// - Parameters:
  ///   - diskBytes: 0 keeps statistics off the disk.
  ///   - folder: where the nameless file is made, when it is first needed.
  package init(
    memoryBytes: Int = 512 << 20, diskBytes: Int = 8 << 30, stateBytes: Int = 512 << 20,
    folder: String = SpillFile.standardFolder
  ) {
    self.memoryBytes = memoryBytes
    self.diskBytes = diskBytes
    self.stateBytes = stateBytes
    self.folder = folder
    states = ResultCache(capacityBytes: stateBytes)
  }

  /// Never waits for the disk.
  package var counters: Counters {
    var counters = latest.withLock { $0 }
    counters.stateBytes = states.bytes
    return counters
  }

  /// Bytes of memory in use, hidden states included.
  package var bytes: Int { counters.memoryBytes + counters.stateBytes }

  /// Statistics that are remembered, wherever they are.
  package var count: Int { state.withLock { $0.entries.count } }

  /// Whether `key` is remembered, without reading it. Counts as use.
  package func contains(_ key: StatisticsKey) -> Bool {
    state.withLock { state in
      guard let entry = state.entries.removeValue(forKey: key) else { return false }
      state.entries[key] = entry
      return true
    }
  }

  /// What is remembered under `key`; nil if nothing is, or if it did not come back from disk as it was written.
  package func value(_ key: StatisticsKey) -> StoredStatistic? {
    state.withLock { state in
      defer { note(state) }
      guard var entry = state.entries.removeValue(forKey: key) else { return miss() }
      if entry.value == nil {
        guard let value = state.file.flatMap({ entry.spilled?.read(from: $0) }) else {
          if let extent = entry.spilled?.extent { state.file?.remove(extent) }
          latest.withLock { $0.damaged += 1 }
          return miss()
        }
        if entry.bytes <= memoryBytes {
          makeRoom(for: entry.bytes, &state)
          entry.value = value
          state.memoryBytes += entry.bytes
        }
        state.entries[key] = entry
        latest.withLock { $0.hits += 1 }
        return value
      }
      state.entries[key] = entry
      latest.withLock { $0.hits += 1 }
      return entry.value
    }
  }

  /// Remembers `value` in memory, or on disk if it is larger than all memory; forgets others as far as needed.
  package func remember(_ value: StoredStatistic, for key: StatisticsKey) {
    state.withLock { state in
      defer { note(state) }
      if let old = state.entries.removeValue(forKey: key) { forget(old, &state) }
      let bytes = value.bytes
      if bytes <= memoryBytes {
        makeRoom(for: bytes, &state)
        state.entries[key] = Entry(value: value, spilled: nil, bytes: bytes)
        state.memoryBytes += bytes
      } else if let spilled = spill(value, &state) {
        state.entries[key] = Entry(value: nil, spilled: spilled, bytes: bytes)
      }
    }
  }

  /// Why a statistic may have been forgotten: the budgets, and what is wrong with the disk.
  package var limits: String {
    let problem = state.withLock { $0.problem }
    let budgets = "\(memoryBytes >> 20) MiB of memory and \(diskBytes >> 20) MiB of disk are set aside for statistics"
    return problem.map { "\(budgets), but \($0)" } ?? budgets
  }

  /// Moves the least recently used out of memory until `bytes` fit.
  private func makeRoom(for bytes: Int, _ state: inout State) {
    while state.memoryBytes + bytes > memoryBytes {
      guard let key = state.entries.elements.first(where: { $0.value.value != nil })?.key,
        var entry = state.entries[key], let value = entry.value
      else { return }
      state.memoryBytes -= entry.bytes
      if entry.spilled == nil { entry.spilled = spill(value, &state) }
      entry.value = nil
      state.entries[key] = entry.spilled == nil ? nil : entry
    }
  }

  /// Writes `value` to disk, forgetting the least recently used there as far as needed; nil if it cannot be.
  private func spill(_ value: StoredStatistic, _ state: inout State) -> SpilledStatistic? {
    guard SpillFile.room(value.bytes) <= diskBytes else { return nil }
    if state.file == nil, state.problem == nil {
      do {
        state.file = try SpillFile(folder: folder, capacityBytes: diskBytes)
      } catch {
        state.problem = error.message
      }
    }
    guard let file = state.file else { return nil }
    while true {
      if let spilled = SpilledStatistic(value, to: file) { return spilled }
      guard let key = state.entries.elements.first(where: { $0.value.spilled != nil })?.key,
        var entry = state.entries[key], let extent = entry.spilled?.extent
      else { return nil }
      file.remove(extent)
      entry.spilled = nil
      state.entries[key] = entry.value == nil ? nil : entry
    }
  }

  private func forget(_ entry: Entry, _ state: inout State) {
    if entry.value != nil { state.memoryBytes -= entry.bytes }
    if let extent = entry.spilled?.extent { state.file?.remove(extent) }
  }

  private func miss() -> StoredStatistic? {
    latest.withLock { $0.misses += 1 }
    return nil
  }

  private func note(_ state: State) {
    let (memory, disk) = (state.memoryBytes, state.file?.bytes ?? 0)
    latest.withLock { ($0.memoryBytes, $0.diskBytes) = (memory, disk) }
  }
}
