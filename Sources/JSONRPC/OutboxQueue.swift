// The queue behind the outbox: bounded in bytes, first in first out, with entries that newer ones replace.
// A plain value; the outbox guards it.

/// Frames that wait for the writer.
struct OutboxQueue {
  private struct Entry {
    var frame: [UInt8]
    /// What a newer frame of the same key replaces; nil for frames that must all arrive.
    let key: String?
  }

  private let capacity: Int
  private var entries: [Entry] = []
  /// The first entry that still waits, and the number of `entries[0]` counted from the first frame ever.
  private var head = 0
  private var base = 0
  /// Bytes that wait, and those of the frame that the writer holds.
  private var waiting = 0
  private var inHand = 0
  /// The number of the entry that waits under a key.
  private var places: [String: Int] = [:]

  /// Lines that found no room since one last did.
  private(set) var dropped = 0

  init(capacity: Int) { self.capacity = capacity }

  var isEmpty: Bool { head == entries.count && inHand == 0 }

  /// Whether `bytes` more fit. A frame larger than the capacity fits when nothing else is there.
  func hasRoom(for bytes: Int) -> Bool { isEmpty || waiting + inHand + bytes <= capacity }

  mutating func append(_ frame: [UInt8], key: String? = nil) {
    if let key { places[key] = base + entries.count }
    entries.append(Entry(frame: frame, key: key))
    waiting += frame.count
  }

  /// Puts `frame` in the place of the one that waits under `key`, or at the end if there is room; else forgets it.
  mutating func appendLatest(_ frame: [UInt8], key: String) {
    if let place = places[key] {
      waiting += frame.count - entries[place - base].frame.count
      entries[place - base].frame = frame
    } else if hasRoom(for: frame.count) {
      append(frame, key: key)
    }
  }

  mutating func countDropped(_ count: Int) { dropped += count }

  /// How many lines were dropped, counted anew from now on.
  mutating func takeDropped() -> Int {
    defer { dropped = 0 }
    return dropped
  }

  /// Hands the first frame to the writer.
  mutating func next() -> [UInt8]? {
    guard head < entries.count else { return nil }
    let entry = entries[head]
    if let key = entry.key, places[key] == base + head { places[key] = nil }
    entries[head].frame = []
    head += 1
    if head == entries.count || head >= 1024 {
      entries.removeFirst(head)
      base += head
      head = 0
    }
    waiting -= entry.frame.count
    inHand = entry.frame.count
    return entry.frame
  }

  /// The writer is done with the frame it was handed.
  mutating func finishFrame() { inHand = 0 }

  mutating func removeAll() { self = OutboxQueue(capacity: capacity) }
}
