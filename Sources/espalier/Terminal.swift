// What people see: lines on standard error, one of them redrawn while something is under way. Results go to standard
// output, and are never mixed with these.

import Glibc
import PipeClient
import Synchronization

/// Writes `text` and a line break to standard error.
func printError(_ text: String) { writeAll(text + "\n", to: 2) }

/// Writes `text` to standard output at once, though its line may go on.
func printPart(_ text: String) { writeAll(text, to: 1) }

private func writeAll(_ text: String, to descriptor: Int32) {
  var rest = Array(text.utf8)[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return }
    rest = rest.dropFirst(count)
  }
}

/// One line on standard error that says what is under way. Shown on terminals only.
final class StatusLine: Sendable {
  let isTerminal = isatty(2) == 1
  private let shown = Mutex("")

  /// Replaces what the line says.
  func show(_ text: String) {
    guard isTerminal else { return }
    shown.withLock { shown in
      guard text != shown else { return }
      shown = text
      writeAll("\r\u{1b}[2K" + text.prefix(Self.columns - 1), to: 2)
    }
  }

  /// Writes a line that stays, above the one that changes.
  func note(_ text: String) {
    shown.withLock { shown in
      writeAll((shown.isEmpty ? "" : "\r\u{1b}[2K") + text + "\n" + shown.prefix(Self.columns - 1), to: 2)
    }
  }

  func clear() { show("") }

  /// The width of the terminal.
  private static var columns: Int {
    var size = winsize()
    return ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : 80
  }
}

extension CallProgress {
  /// As the status line shows it: `▕█████░░░░░▏  52 %  window 17 of 32`.
  var text: String {
    let width = 10
    guard let percentage else { return message ?? "" }
    let filled = Int((min(max(percentage, 0), 100) / 100 * Double(width)).rounded())
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    return "▕\(bar)▏" + padded("\(Int(min(max(percentage, 0), 100)))", 4) + " %  " + (message ?? "")
  }
}
