// Tokens and their ids, both ways, in three flat arrays: a hundred thousand tokens are looked up while a model loads.
// Tokens are compared byte by byte. Hashing is the standard library's seeded one: a file cannot choose collisions.

/// A map between byte strings and ids from 0 up, with holes.
struct Vocabulary: Sendable {
  enum Insertion: Equatable {
    case inserted
    case idTaken
    case tokenTaken(id: Int)
  }

  private struct Place {
    var start: Int
    /// -1 marks an id without token.
    var count: Int
  }

  private var text: [UInt8] = []
  private var places: [Place] = []
  /// Ids by the hash of their token; open addressing, linear probing, -1 is free. A power of two, at most half full.
  private var slots: [Int32]
  private(set) var count = 0

  init(capacity: Int) {
    slots = Array(repeating: -1, count: Self.slotCount(for: capacity))
    places.reserveCapacity(capacity)
    text.reserveCapacity(capacity * 8)
  }

  /// One more than the highest id.
  var limit: Int { places.count }

  /// Adds `token` under `id`, which the caller has bounded.
  mutating func insert(_ token: UnsafeRawBufferPointer, id: Int) -> Insertion {
    if id < places.count, places[id].count >= 0 { return .idTaken }
    if 2 * (count + 1) > slots.count { grow() }
    let slot = slot(of: token)
    if slots[slot] >= 0 { return .tokenTaken(id: Int(slots[slot])) }
    while places.count <= id { places.append(Place(start: 0, count: -1)) }
    places[id] = Place(start: text.count, count: token.count)
    text.append(contentsOf: token)
    slots[slot] = Int32(id)
    count += 1
    return .inserted
  }

  func id(of token: UnsafeRawBufferPointer) -> Int32? {
    let id = slots[slot(of: token)]
    return id >= 0 ? id : nil
  }

  func id(of token: String) -> Int32? {
    var token = token
    return token.withUTF8 { id(of: UnsafeRawBufferPointer($0)) }
  }

  /// Calls `body` with the bytes of token `id`, or with nil if there is none.
  func withToken<R>(_ id: Int, _ body: (UnsafeRawBufferPointer?) -> R) -> R {
    guard places.indices.contains(id), places[id].count >= 0 else { return body(nil) }
    let place = places[id]
    return text.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[place.start..<place.start + place.count])) }
  }

  /// The token of `id`, if there is one.
  func token(_ id: Int) -> String? {
    withToken(id) { bytes in bytes.map { String(decoding: $0, as: UTF8.self) } }
  }

  /// Where `token` is or would be.
  private func slot(of token: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: token)
    let mask = slots.count - 1
    return text.withUnsafeBytes { text -> Int in
      var slot = hasher.finalize() & mask
      while slots[slot] >= 0 {
        let place = places[Int(slots[slot])]
        let known = UnsafeRawBufferPointer(rebasing: text[place.start..<place.start + place.count])
        if known.count == token.count, known.elementsEqual(token) { break }
        slot = (slot + 1) & mask
      }
      return slot
    }
  }

  private mutating func grow() {
    slots = Array(repeating: -1, count: slots.count * 2)
    for id in places.indices where places[id].count >= 0 {
      let slot = withToken(id) { token in self.slot(of: token ?? UnsafeRawBufferPointer(start: nil, count: 0)) }
      slots[slot] = Int32(id)
    }
  }

  private static func slotCount(for capacity: Int) -> Int {
    var count = 16
    while count < 2 * (capacity + 1) { count *= 2 }
    return count
  }
}
