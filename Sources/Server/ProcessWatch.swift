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
