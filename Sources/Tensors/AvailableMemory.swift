// How much memory this process may still take, so that work too large for the machine is refused in words instead of
// being ended by the system with every resident model.

import Glibc

/// Bytes that can be taken without swapping: what the kernel counts as available, and no more than the process's
/// control group has left. Nil where the system does not say.
package func availableMemoryBytes() -> Int? {
  let machine = firstNumber(in: "/proc/meminfo", after: "MemAvailable:").map { $0 << 10 }
  guard let limit = firstNumber(in: "/sys/fs/cgroup/memory.max", after: ""),
    let used = firstNumber(in: "/sys/fs/cgroup/memory.current", after: "")
  else { return machine }
  let group = max(0, limit - used)
  return machine.map { min($0, group) } ?? group
}

/// The number that follows `label` at the start of a line of a file of the kernel's.
package func firstNumber(in path: String, after label: String) -> Int? {
  guard let file = fopen(path, "r") else { return nil }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 256)
  while fgets(&line, Int32(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard text.hasPrefix(label) else { continue }
    return Int(text.dropFirst(label.count).filter(\.isNumber))
  }
  return nil
}
