// Structs that a plugin hands over, copied as far as both sides know them.

/// A copy of a plugin's struct, as large as this host knows it; what the plugin's header did not know yet is 0.
/// - Parameter first: the size in the version that brought the struct, if it has grown since.
/// - Throws: `structSize`; `fieldInvalid` if the pointer cannot be one to such a struct.
func loadStruct<T: BitwiseCopyable>(
  at pointer: UnsafeRawPointer, name: String, first: UInt32 = UInt32(MemoryLayout<T>.size)
) throws(PluginRejection) -> T {
  guard UInt(bitPattern: pointer) % UInt(MemoryLayout<T>.alignment) == 0 else {
    throw .fieldInvalid(field: name, problem: "lies at an address that is not a multiple of 8")
  }
  let size = pointer.load(as: UInt32.self)
  try checkStructSize(size, atLeast: first, name: name)
  return withUnsafeTemporaryAllocation(byteCount: MemoryLayout<T>.size, alignment: MemoryLayout<T>.alignment) { copy in
    copy.initializeMemory(as: UInt8.self, repeating: 0)
    copy.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: min(Int(size), copy.count)))
    return copy.load(as: T.self)
  }
}

/// Accepts the size of a struct's first version and what a later minor version can have made of it: structs grow at
/// their end by whole words, and not without bound.
func checkStructSize(_ size: UInt32, atLeast first: UInt32, name: String) throws(PluginRejection) {
  guard size >= first, size <= 4096, size % 8 == 0 else {
    throw .structSize(name: name, found: size, expected: first)
  }
}
