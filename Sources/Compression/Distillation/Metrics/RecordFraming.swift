// TFRecord: length, checksum of the length, data, checksum of the data. (TensorFlow, "TFRecord and tf.train.Example")

/// CRC-32C (Castagnoli; RFC 3720, section 12.1 and appendix B.4), reflected, a byte at a time.
enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
  }

  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { crc, byte in table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ crc >> 8 }
  }

  /// So that the checksum of data that contain checksums is not weak: rotated right by 15 bits, plus a constant.
  static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
    let crc = checksum(bytes)
    return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
  }
}

/// `data` as a record: length (64 bits), its masked checksum, the data, their masked checksum; all little-endian.
func framedRecord(_ data: [UInt8]) -> [UInt8] {
  func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }
  let length = bytes(UInt64(data.count))
  return length + bytes(CRC32C.masked(length)) + data + bytes(CRC32C.masked(data))
}
