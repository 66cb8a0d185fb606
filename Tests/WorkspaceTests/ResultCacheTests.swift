// Remembered results: the least recently used go first, and never more than the budget stays.

import TestSupport
import Testing
import Workspace

@Suite struct ResultCacheTests {
  @Test func leastRecentlyUsedGoesFirst() {
    let cache = ResultCache<String, Int>(capacityBytes: 30)
    for (index, key) in ["a", "b", "c"].enumerated() { cache.remember(index, for: key, bytes: 10) }
    #expect(cache.value("a") == 0)  // now b is the oldest
    cache.remember(3, for: "d", bytes: 10)
    #expect(cache.value("b") == nil)
    #expect(cache.value("a") == 0 && cache.value("c") == 2 && cache.value("d") == 3)
    #expect(cache.bytes == 30 && cache.count == 3)
  }

  @Test func aLargeValueMakesRoom() {
    let cache = ResultCache<Int, Int>(capacityBytes: 100)
    for key in 0..<10 { cache.remember(key, for: key, bytes: 10) }
    cache.remember(99, for: 99, bytes: 75)
    #expect(cache.count == 3 && cache.bytes == 95)
    #expect(cache.value(8) == 8 && cache.value(9) == 9 && cache.value(7) == nil)
  }

  @Test func tooLargeIsNotRemembered() {
    let cache = ResultCache<Int, Int>(capacityBytes: 100)
    cache.remember(1, for: 1, bytes: 60)
    cache.remember(2, for: 2, bytes: 101)
    #expect(cache.value(2) == nil && cache.value(1) == 1, "and throws nothing else out")
    cache.remember(3, for: 3, bytes: 100)
    #expect(cache.value(3) == 3 && cache.count == 1)
  }

  @Test func rememberingAgainReplaces() {
    let cache = ResultCache<Int, String>(capacityBytes: 100)
    cache.remember("old", for: 1, bytes: 90)
    cache.remember("new", for: 1, bytes: 20)
    #expect(cache.value(1) == "new" && cache.bytes == 20 && cache.count == 1)
  }

  @Test func noCapacityNoMemory() {
    let cache = ResultCache<Int, Int>(capacityBytes: 0)
    cache.remember(1, for: 1, bytes: 1)
    #expect(cache.value(1) == nil && cache.bytes == 0)
  }

  /// Against a list in order of use.
  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func randomUse(seed: UInt64) {
    var random = Seeded(seed)
    let capacity = 50
    let cache = ResultCache<Int, Int>(capacityBytes: capacity)
    var naive: [(key: Int, value: Int, bytes: Int)] = []
    for step in 0..<2000 {
      let key = random.int(in: 0...15)
      if random.int(in: 0...1) == 0 {
        let found = naive.firstIndex { $0.key == key }
        #expect(cache.value(key) == found.map { naive[$0].value }, "step \(step), \(random)")
        if let found { naive.append(naive.remove(at: found)) }
      } else {
        let bytes = random.int(in: 0...60)
        cache.remember(step, for: key, bytes: bytes)
        guard bytes <= capacity else { continue }
        naive.removeAll { $0.key == key }
        while naive.reduce(0, { $0 + $1.bytes }) + bytes > capacity { naive.removeFirst() }
        naive.append((key, step, bytes))
      }
      #expect(cache.bytes == naive.reduce(0) { $0 + $1.bytes } && cache.bytes <= capacity, "step \(step), \(random)")
    }
  }
}
