// Waiting for the end of a process that is not our child.

import CSystem
import Glibc

/// Returns when process `pid` has ended: by a pidfd where the kernel has them (no polling, no reuse of ids), otherwise
/// by asking every half second.
func waitForProcess(_ pid: Int32) {
  let descriptor = cs_pidfd_open(pid)
  guard descriptor >= 0 else {
    if errno == ESRCH { return }
    while kill(pid, 0) == 0 || errno == EPERM { usleep(500_000) }
    return
  }
  var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
  while poll(&event, 1, -1) < 0 && errno == EINTR {}
  close(descriptor)
}

/// Bytes of this process in memory, now and at most, from /proc/self/status; 0 where that cannot be read.
func processMemory() -> (resident: Int, peak: Int) {
  guard let file = fopen("/proc/self/status", "r") else { return (0, 0) }
  defer { fclose(file) }
  var memory = (resident: 0, peak: 0)
  var line = [CChar](repeating: 0, count: 256)
  while fgets(&line, Int32(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let kilobytes = Int(text.filter(\.isNumber)) ?? 0
    if text.hasPrefix("VmRSS:") { memory.resident = kilobytes << 10 }
    if text.hasPrefix("VmHWM:") { memory.peak = kilobytes << 10 }
  }
  return memory
}
