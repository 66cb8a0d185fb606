// What a monitor was told, without repetitions.

import Synchronization

final class Heard: Sendable {
  private let state = Mutex<[String]>([])
  var words: [String] { state.withLock { $0 } }

  func add(_ word: String) {
    state.withLock { words in
      if words.last != word { words.append(word) }
    }
  }
}
