// Results remembered under keys that name everything they depend on; the least recently used go first.

import OrderedCollections
import Synchronization

/// A bounded memory of results. A key lists the identities of all that the result depends on, so nothing is ever
/// invalidated and a stale answer cannot come out.
package final class ResultCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Entry {
    let value: Value
    let bytes: Int
  }

  private struct State {
    /// Least recently used first.
    var entries: OrderedDictionary<Key, Entry> = [:]
    var bytes = 0
  }

  /// What the values may hold together.
  package let capacityBytes: Int
  private let state = Mutex(State())

  package init(capacityBytes: Int) { self.capacityBytes = capacityBytes }

  package var bytes: Int { state.withLock { $0.bytes } }
  package var count: Int { state.withLock { $0.entries.count } }

  package func value(_ key: Key) -> Value? {
    state.withLock { state in
      guard let entry = state.entries.removeValue(forKey: key) else { return nil }
      state.entries[key] = entry
      return entry.value
    }
  }

  /// Remembers `value`, forgetting the least recently used as far as needed. A value larger than the whole capacity
  /// is not remembered.
  package func remember(_ value: Value, for key: Key, bytes: Int) {
    guard bytes <= capacityBytes else { return }
    state.withLock { state in
      if let old = state.entries.removeValue(forKey: key) { state.bytes -= old.bytes }
      while state.bytes + bytes > capacityBytes, !state.entries.isEmpty {
        state.bytes -= state.entries.removeFirst().value.bytes
      }
      state.entries[key] = Entry(value: value, bytes: bytes)
      state.bytes += bytes
    }
  }
}
