// The fuzzers: ESPALIER_FUZZ names one of the readers, the arguments are libFuzzer's. A finding is a trap, an invalid
// access, a hang or an allocation out of proportion; errors are what is expected.

import Checkpoints
import Glibc
import Tensors

/// A copy whose every byte beyond the end is watched.
private final class HeapBytes: ByteStorage, @unchecked Sendable {  // unchecked: never changed after init
  let bytes: UnsafeRawBufferPointer

  init(_ content: UnsafeRawBufferPointer) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 1)
    copy.copyMemory(from: content)
    bytes = UnsafeRawBufferPointer(copy)
  }

  deinit { bytes.deallocate() }
}

/// libFuzzer's main loop, for programs with a `main` of their own.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

private let readers: [(name: String, read: @Sendable (any ByteStorage) -> Void)] =
  checkpointReaders + [("configuration", readConfiguration)]

private func writeError(_ text: String) { _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) } }

private let chosen: @Sendable (any ByteStorage) -> Void = {
  let name = getenv("ESPALIER_FUZZ").map { String(cString: $0) } ?? ""
  guard let reader = readers.first(where: { $0.name == name }) else {
    let names = readers.map(\.name).joined(separator: ", ")
    writeError("ESPALIER_FUZZ is \"\(name)\"; expected one of \(names).\n")
    exit(2)
  }
  return reader.read
}()

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
  runFuzzer(&count, &arguments) { start, size in
    chosen(HeapBytes(UnsafeRawBufferPointer(start: start, count: size)))
    return 0
  })
