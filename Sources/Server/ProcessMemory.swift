// What this process holds in memory, by the kernel's count.

import Tensors

/// Bytes of this process in memory, now and at most; 0 where the system does not say.
func processMemory() -> (resident: Int, peak: Int) {
  func bytes(_ label: String) -> Int { (firstNumber(in: "/proc/self/status", after: label) ?? 0) << 10 }
  return (bytes("VmRSS:"), bytes("VmHWM:"))
}
