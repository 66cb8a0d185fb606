// Resident things by name.

import OrderedCollections
import Synchronization

/// Named values in the order in which they came. Thread-safe.
final class Registry<Value: Sendable>: Sendable {
  private let prefix: String
  private let state = Mutex((values: OrderedDictionary<String, Value>(), numbered: 0))

  /// - Parameter prefix: of the names that are made up: `d1`, `d2`, ...
  init(prefix: String) { self.prefix = prefix }

  func value(_ name: String) -> Value? { state.withLock { $0.values[name] } }
  var names: [String] { state.withLock { Array($0.values.keys) } }
  var all: [(name: String, value: Value)] { state.withLock { $0.values.map { ($0.key, $0.value) } } }

  /// Calls `body` with what has a name, which nobody can take away meanwhile.
  func holding<Result>(_ name: String, _ body: (Value?) throws -> Result) rethrows -> Result {
    try state.withLock { try body($0.values[name]) }
  }

  /// Adds a value under a name, or under one that is made up; nil if the name is taken.
  func add(_ value: Value, name: String? = nil) -> String? { add(name: name) { _ in value }?.name }

  /// The same for a value that is made knowing its name.
  func add(name: String?, _ make: (_ name: String) -> Value) -> (name: String, value: Value)? {
    state.withLock { state in
      var chosen = name ?? ""
      while chosen.isEmpty || (name == nil && state.values[chosen] != nil) {
        state.numbered += 1
        chosen = "\(prefix)\(state.numbered)"
      }
      guard state.values[chosen] == nil else { return nil }
      let value = make(chosen)
      state.values[chosen] = value
      return (chosen, value)
    }
  }

  @discardableResult
  func remove(_ name: String) -> Value? { state.withLock { $0.values.removeValue(forKey: name) } }
}
