// What leaves: whole frames from any thread, a bound on what waits, a client that goes away.

import Foundation
import JSON
import Synchronization
import Testing

@testable import JSONRPC

struct OutboxTests {
  /// Bodies that arrive until the other side closes.
  private func bodies(from descriptor: Int32) throws -> [JSON] {
    let reader = FrameReader(descriptor: descriptor)
    var bodies: [JSON] = []
    while true {
      switch reader.next() {
      case .body(let body): bodies.append(try JSON.parse(body))
      case .problem(let problem): throw problem
      case .end: return bodies
      }
    }
  }

  /// Nobody reads, so the pipe fills, then the queue; a message without room is refused instead of waited for.
  @Test func sendingNowNeverWaits() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing, capacity: 10_000)
    let message: JSON = ["text": .string(String(repeating: "x", count: 1000))]
    var sent = 0
    while try outbox.sendNow(message), sent < 1000 { sent += 1 }
    #expect(sent < 1000)
    Thread { outbox.finish() }.start()
    #expect(try bodies(from: pipe.reading) == [JSON](repeating: message, count: sent), "what was taken arrives")
    #expect(try outbox.sendNow(message), "a closed one takes everything and sends nothing")
  }

  @Test func manyThreadsNeverInterleave() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing, capacity: 50_000)
    let threads = 8
    let each = 200
    for thread in 0..<threads {
      Thread {
        for number in 0..<each {
          let filler = String(repeating: "x", count: (thread * 7919 + number * 104_729) % 20_000)
          try? outbox.send(["thread": JSON(thread), "number": JSON(number), "filler": .string(filler)])
        }
        try? outbox.send(["done": JSON(thread)])
      }.start()
    }
    let reader = FrameReader(descriptor: pipe.reading)
    var next = Array(repeating: 0, count: threads)
    var done = 0
    while done < threads, case .body(let body) = reader.next() {
      let json = try JSON.parse(body)
      if json["done"] != nil { done += 1 }
      guard let thread = json["thread"]?.integer, let number = json["number"]?.integer else { continue }
      #expect(number == next[thread], "messages of one thread keep their order")
      next[thread] += 1
      #expect(json["filler"]?.string?.utf8.count == (thread * 7919 + number * 104_729) % 20_000)
    }
    #expect(next == Array(repeating: each, count: threads))
    #expect(outbox.finish(within: 60))
    #expect(reader.next() == .end)
    close(pipe.reading)
  }

  @Test func finishWritesWhatWaitsAndCloses() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing)
    for number in 0..<100 { try outbox.send([JSON(number)]) }
    #expect(outbox.finish(within: 60))
    #expect(outbox.finish(within: 60), "again is harmless")
    try outbox.send("after the end")
    #expect(try bodies(from: pipe.reading) == (0..<100).map { [JSON($0)] })
    close(pipe.reading)
  }

  /// The pipe and the outbox fill, the sender waits, and goes on when the client reads.
  @Test func answersMakeTheirSenderWait() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing, capacity: 100_000)
    let sent = Mutex(0)
    let filler = JSON(String(repeating: "x", count: 9_900))
    Thread {
      for _ in 0..<100 {
        try? outbox.send(filler)
        sent.withLock { $0 += 1 }
      }
      outbox.finish()
    }.start()
    #expect(eventually { sent.withLock { $0 } >= 10 })
    usleep(100_000)
    let stuck = sent.withLock { $0 }
    #expect(stuck <= 18, "64 KiB in the pipe and 100,000 bytes in the outbox, but \(stuck) messages were taken")
    #expect(try bodies(from: pipe.reading).count == 100)
    #expect(sent.withLock { $0 } == 100)
    close(pipe.reading)
  }

  @Test func aFrameLargerThanTheOutboxGoesOutAlone() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing, capacity: 1000)
    let large = JSON(String(repeating: "x", count: 300_000))
    Thread {
      for number in 0..<5 {
        try? outbox.send([JSON(number), large])
        try? outbox.send([JSON(number), "small"])
      }
      outbox.finish()
    }.start()
    let received = try bodies(from: pipe.reading)
    #expect(received.map { $0.array?[0].integer } == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    close(pipe.reading)
  }

  /// With a client that does not read, only the latest report of each key waits, in the place of the first, and log
  /// lines that find no room are lost, but counted.
  @Test func progressIsCoalescedAndLogLinesAreCounted() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing, capacity: 250_000)
    try outbox.send(["fill", .string(String(repeating: "x", count: 200_000))])  // keeps the writer busy
    #expect(eventually { unread(in: pipe) > 60_000 })
    for step in 0..<3000 {
      try outbox.send(latest: ["token": "a", "step": JSON(step)], key: "a")
      try outbox.send(latest: ["token": "b", "step": JSON(step)], key: "b")
      try outbox.sendIfRoom { lost in ["log": JSON(step), "lost": JSON(lost)] }
    }
    try outbox.send(latest: ["token": "c"], key: "c")  // new, and there is no room
    let reader = Thread {
      try? outbox.send("end")  // waits for room, so it comes after all
      try? outbox.sendIfRoom { lost in ["log": "last", "lost": JSON(lost)] }
      outbox.finish()
    }
    reader.start()
    let received = try bodies(from: pipe.reading)
    let logs = received.compactMap { $0["log"]?.integer }
    let lost = received.compactMap { $0["lost"]?.integer }.reduce(0, +)
    #expect(received.map { $0["token"] }[1...2] == ["a", "b"])
    #expect(received.compactMap { $0["token"] == nil ? nil : $0["step"] } == [2999, 2999])
    #expect(logs == Array(0..<logs.count) && logs.count < 3000)
    #expect(logs.count + lost == 3000)
    #expect(received.suffix(2).first == "end")
    close(pipe.reading)
  }

  private func unread(in pipe: Pipe) -> Int {
    var count: Int32 = 0
    return ioctl(pipe.reading, UInt(FIONREAD), &count) == 0 ? Int(count) : 0
  }

  @Test func aClientThatGoesAwayIsReportedOnce() throws {
    let pipe = Pipe()
    let failures = Mutex<[Int32]>([])
    let outbox = try Outbox(descriptor: pipe.writing, capacity: 1000) { errno in failures.withLock { $0.append(errno) }
    }
    try outbox.send("first")
    #expect(eventually { unread(in: pipe) > 0 })
    close(pipe.reading)
    for _ in 0..<1000 { try outbox.send(.string(String(repeating: "x", count: 900))) }
    #expect(eventually { !failures.withLock { $0 }.isEmpty })
    try outbox.send("ignored")
    try outbox.send(latest: "ignored", key: "k")
    try outbox.sendIfRoom { _ in "ignored" }
    #expect(outbox.finish(within: 60))
    #expect(failures.withLock { $0 } == [EPIPE])
  }

  @Test func aClientThatGoesAwayFreesAWaitingSender() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing, capacity: 1000)
    let isDone = Mutex(false)
    Thread {
      for _ in 0..<100 { try? outbox.send(.string(String(repeating: "x", count: 9000))) }
      isDone.withLock { $0 = true }
    }.start()
    #expect(eventually { unread(in: pipe) > 50_000 })
    close(pipe.reading)
    #expect(eventually { isDone.withLock { $0 } })
    #expect(outbox.finish(within: 60))
  }

  @Test func finishGivesUpOnAClientThatDoesNotRead() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing)
    try outbox.send(.string(String(repeating: "x", count: 1_000_000)))
    #expect(!outbox.finish(within: 0.05))
    close(pipe.reading)
    #expect(outbox.finish(within: 60))
  }

  @Test func writesToDescriptorsSetToNonBlocking() throws {
    let pipe = Pipe()
    #expect(fcntl(pipe.writing, F_SETFL, O_NONBLOCK) == 0)
    let outbox = try Outbox(descriptor: pipe.writing)
    let large = JSON(String(repeating: "x", count: 1_000_000))
    try outbox.send(large)
    Thread { outbox.finish() }.start()
    #expect(try bodies(from: pipe.reading) == [large])
    close(pipe.reading)
  }

  @Test func nothingInvalidIsSent() throws {
    let pipe = Pipe()
    let outbox = try Outbox(descriptor: pipe.writing)
    #expect(throws: JSONError.notFinite(.infinity, path: "x")) { try outbox.send(["x": .number(.infinity)]) }
    #expect(throws: JSONError.self) { try outbox.send(latest: .number(.nan), key: "k") }
    #expect(throws: JSONError.self) { try outbox.sendIfRoom { _ in .number(.nan) } }
    outbox.finish()
    #expect(try bodies(from: pipe.reading) == [])
    close(pipe.reading)
  }

  @Test func theQueueReplacesInPlaceAndKeepsItsBounds() {
    var queue = OutboxQueue(capacity: 10)
    queue.append([1, 1])
    queue.appendLatest([2], key: "a")
    queue.append([3, 3])
    queue.appendLatest([4, 4, 4], key: "a")  // in the place of [2]
    queue.appendLatest([5, 5, 5, 5], key: "b")  // 7 + 4 bytes: forgotten
    #expect(queue.hasRoom(for: 3) && !queue.hasRoom(for: 4))
    #expect(queue.next() == [1, 1])
    #expect(!queue.hasRoom(for: 4), "what the writer holds still counts")
    queue.finishFrame()
    #expect(queue.hasRoom(for: 5) && !queue.hasRoom(for: 6))
    #expect(queue.next() == [4, 4, 4])
    queue.finishFrame()
    queue.appendLatest([6], key: "a")  // the former is gone, so this is new
    #expect(queue.next() == [3, 3])
    queue.finishFrame()
    #expect(queue.next() == [6])
    #expect(!queue.isEmpty)
    queue.finishFrame()
    #expect(queue.isEmpty && queue.next() == nil)
    #expect(queue.hasRoom(for: 1000), "a large frame goes out alone")
  }

  @Test func theQueueKeepsItsPlacesOverManyFrames() {
    var queue = OutboxQueue(capacity: .max)
    var expected: [UInt8] = []
    for round in 0..<50 {
      for number in 0..<100 { queue.append([UInt8(number)]) }
      queue.appendLatest([200], key: "k")
      queue.appendLatest([UInt8(round)], key: "k")
      for _ in 0..<60 {
        expected.append(queue.next()?.first ?? 255)
        queue.finishFrame()
      }
    }
    while let frame = queue.next() { expected.append(frame[0]) }
    #expect(!expected.contains(200))
    #expect(expected.filter { $0 == 99 }.count == 50)
  }
}
