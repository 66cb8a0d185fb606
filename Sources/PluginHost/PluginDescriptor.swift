// The first fields of `espalier_plugin`, which decide whether a library was built for this ABI, and how they are read
// from a file of which nothing has run.

import CPluginABI

/// Size and version of a descriptor.
struct DescriptorHead: Equatable, Sendable {
  static let symbolName = "espalier_plugin"
  static let byteCount = 12

  let structSize: UInt32
  let abiMajor: UInt32
  let abiMinor: UInt32

  init(structSize: UInt32, abiMajor: UInt32, abiMinor: UInt32) {
    self.structSize = structSize
    self.abiMajor = abiMajor
    self.abiMinor = abiMinor
  }

  init(at pointer: UnsafeRawPointer) {
    structSize = pointer.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
    abiMajor = pointer.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
    abiMinor = pointer.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
  }

  /// Reads the head out of the file and checks it; executes nothing of the library.
  /// - Throws: everything that `ELFLibrary` throws; `symbolMissing`, `symbolNotData`; those of `check`.
  init(readingFrom library: borrowing ELFLibrary) throws(PluginRejection) {
    guard let symbol = try library.symbol(named: Self.symbolName) else { throw .symbolMissing }
    guard symbol.isData else { throw .symbolNotData }
    let bytes = try library.bytes(atAddress: symbol.address, count: Self.byteCount, of: "the descriptor")
    self.init(structSize: bytes.u32(0), abiMajor: bytes.u32(4), abiMinor: bytes.u32(8))
    try check()
    guard symbol.size == 0 || symbol.size >= UInt64(structSize) else {
      throw .structSize(name: Self.structName, found: structSize, expected: UInt32(clamping: symbol.size))
    }
  }

  /// The version first: another major version may have another idea of the sizes.
  /// - Throws: `abiMajor`, `abiMinor`, `structSize`.
  func check() throws(PluginRejection) {
    guard abiMajor == UInt32(ESPALIER_ABI_MAJOR) else {
      throw .abiMajor(found: abiMajor, supported: UInt32(ESPALIER_ABI_MAJOR))
    }
    guard abiMinor <= UInt32(ESPALIER_ABI_MINOR) else {
      throw .abiMinor(found: abiMinor, supported: UInt32(ESPALIER_ABI_MINOR))
    }
    let known = UInt32(MemoryLayout<espalier_plugin_descriptor>.size)
    try checkStructSize(structSize, atLeast: known, name: Self.structName)
  }

  private static let structName = "espalier_plugin_descriptor"
}
