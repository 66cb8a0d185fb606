// TensorBoard's Event as protocol buffers on the wire: the few fields that scalars need.
// (tensorboard/compat/proto/event.proto and summary.proto; protobuf.dev, "Encoding")

/// A protocol buffers message in the making. Fields are written in the order of the calls; numbers that are 0, which is
/// what a field that is left out means (proto3), are not written.
struct EventMessage {
  private(set) var bytes: [UInt8] = []

  mutating func double(_ field: Int, _ value: Double) {
    guard value.bitPattern != 0 else { return }
    tag(field, wireType: 1)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// A member of a `oneof`, which is written even if it is 0.
  mutating func float(_ field: Int, _ value: Float) {
    tag(field, wireType: 5)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func int64(_ field: Int, _ value: Int64) {
    guard value != 0 else { return }
    tag(field, wireType: 0)
    varint(UInt64(bitPattern: value))
  }

  mutating func string(_ field: Int, _ text: String) { lengthDelimited(field, Array(text.utf8)) }

  mutating func message(_ field: Int, _ build: (inout EventMessage) -> Void) {
    var inner = EventMessage()
    build(&inner)
    lengthDelimited(field, inner.bytes)
  }

  private mutating func lengthDelimited(_ field: Int, _ content: [UInt8]) {
    tag(field, wireType: 2)
    varint(UInt64(content.count))
    bytes += content
  }

  private mutating func tag(_ field: Int, wireType: UInt64) { varint(UInt64(field) << 3 | wireType) }

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

extension EventMessage {
  /// The first event of a file. (Event: wall_time 1, file_version 3)
  static func fileVersion(wallSeconds: Double) -> EventMessage {
    var event = EventMessage()
    event.double(1, wallSeconds)
    event.string(3, "brain.Event:2")
    return event
  }

  /// Says that everything at `step` and behind, of files before, did not happen. (Event: wall_time 1, step 2,
  /// session_log 7; SessionLog: status 1, of which START is 1)
  static func restart(step: Int, wallSeconds: Double) -> EventMessage {
    var event = EventMessage()
    event.double(1, wallSeconds)
    event.int64(2, Int64(step))
    event.message(7) { $0.int64(1, 1) }
    return event
  }

  /// Scalars of a step. (Event: wall_time 1, step 2, summary 5; Summary: value 1; Value: tag 1, simple_value 2)
  static func scalars(_ values: [(name: String, value: Double)], step: Int, wallSeconds: Double) -> EventMessage {
    var event = EventMessage()
    event.double(1, wallSeconds)
    event.int64(2, Int64(step))
    event.message(5) { summary in
      for (name, value) in values {
        summary.message(1) { entry in
          entry.string(1, name)
          entry.float(2, Float(value))
        }
      }
    }
    return event
  }
}
