// The room in which a plugin writes why a call failed, with a fence behind it.

import CPluginABI

/// ```
/// |<------ capacity: the plugin's ------>|<- fence ->|
/// | text ... 0 ..........................| a5 a5 ... |
/// ```
/// A plugin that writes a little too far damages the fence and nothing else, and is told on.
struct MessageBuffer {
  private static let capacity = 1024
  private static let fenceWidth = 64
  private static let fence: UInt8 = 0xa5
  /// Made for every call, also one for every token: one allocation.
  private var bytes = [UInt8](unsafeUninitializedCapacity: capacity + fenceWidth) { bytes, count in
    bytes.initialize(repeating: 0)
    bytes[capacity...].update(repeating: fence)
    count = bytes.count
  }

  /// Runs `body` with a message that lives as long as `body`.
  mutating func withMessage<Result>(_ body: (UnsafeMutablePointer<espalier_message>) -> Result) -> Result {
    bytes.withUnsafeMutableBytes { bytes in
      var message = espalier_message(
        struct_size: UInt32(MemoryLayout<espalier_message>.size), reserved: 0,
        text: bytes.baseAddress?.assumingMemoryBound(to: CChar.self), capacity: Self.capacity)
      return withUnsafeMutablePointer(to: &message) { body($0) }
    }
  }

  /// False if something was written behind the room.
  var isIntact: Bool { bytes[Self.capacity...].allSatisfy { $0 == Self.fence } }

  /// What was written, up to the first zero byte; never past the room.
  var text: String {
    bytes.withUnsafeBytes { ForeignText.repaired(UnsafeRawBufferPointer(rebasing: $0.prefix(Self.capacity))) }
  }
}
