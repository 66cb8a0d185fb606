// Resident things by name.

import Synchronization
import Testing
import Threads

@testable import Server

@Suite struct RegistryTests {
  @Test func namesAreMadeUpInOrder() {
    let registry = Registry<Int>(prefix: "d")
    #expect(registry.add(1) == "d1")
    #expect(registry.add(2, name: "mine") == "mine")
    #expect(registry.add(3) == "d2")
    #expect(registry.names == ["d1", "mine", "d2"])
    #expect(registry.all.map(\.value) == [1, 2, 3])
    #expect(registry.value("mine") == 2 && registry.value("d9") == nil && registry.value("") == nil)
  }

  @Test func takenNames() {
    let registry = Registry<Int>(prefix: "d")
    #expect(registry.add(1, name: "d1") == "d1")
    #expect(registry.add(2, name: "d1") == nil, "given names are never changed")
    #expect(registry.add(3) == "d2", "made-up ones go around those that are taken")
    #expect(registry.value("d1") == 1)
  }

  @Test func namesAreNotUsedAgain() {
    let registry = Registry<Int>(prefix: "d")
    #expect(registry.add(1) == "d1")
    #expect(registry.remove("d1") == 1)
    #expect(registry.remove("d1") == nil)
    #expect(registry.add(2) == "d2", "an old handle never means something new")
    #expect(registry.add(3, name: "d1") == "d1", "unless the client wants it")
  }

  @Test func manyThreadsGetDifferentNames() {
    let registry = Registry<Int>(prefix: "d")
    let left = Gate(8)
    for thread in 0..<8 {
      startThread(named: "adder") {
        for number in 0..<100 { _ = registry.add(thread * 100 + number) }
        left.withLock { $0 -= 1 }
      }
    }
    left.wait(atMost: 20) { $0 == 0 ? () : nil }
    #expect(registry.names.count == 800)
    #expect(Set(registry.all.map(\.value)).count == 800)
  }
}
