// The host as a plugin sees it during one call: the C functions of `espalier_host`, and the state behind them.

import CPluginABI
import Synchronization
import Tensors

/// What the application gives to plugins.
package struct PluginServices: Sendable {
  /// How much a log line matters; numbered as in the Language Server Protocol.
  package enum LogLevel: Int32, Sendable {
    case error = 1
    case warning = 2
    case info = 3
    case debug = 4
  }

  /// Takes a log line; called on any thread.
  package let log: @Sendable (_ level: LogLevel, _ plugin: String, _ message: String) -> Void
  /// Calls the body once for each of `0..<count`, on several threads, and returns when all are done.
  package let parallelFor: @Sendable (_ count: Int, _ body: @Sendable (Int) -> Void) -> Void

  package init(
    log: @escaping @Sendable (_ level: LogLevel, _ plugin: String, _ message: String) -> Void,
    parallelFor: @escaping @Sendable (_ count: Int, _ body: @Sendable (Int) -> Void) -> Void
  ) {
    self.log = log
    self.parallelFor = parallelFor
  }
}

/// The state of one call into a plugin.
final class HostCall: Sendable {
  private let plugin: String
  private let services: PluginServices
  private let monitor: Monitor
  private let inLoop = Atomic<Bool>(false)
  private let loopCutShort = Atomic<Bool>(false)

  init(plugin: String, services: PluginServices, monitor: Monitor) {
    self.plugin = plugin
    self.services = services
    self.monitor = monitor
  }

  /// True once a cancellation has kept a parallel loop from doing all its work: whatever the plugin says then, its
  /// result is not whole.
  var wasCutShort: Bool { loopCutShort.load(ordering: .relaxed) }

  /// Runs `body` with a host that lives as long as `body`.
  func withHost<Result>(_ body: (UnsafePointer<espalier_host>) -> Result) -> Result {
    let host = espalier_host(
      struct_size: UInt32(MemoryLayout<espalier_host>.size),
      abi_major: UInt32(ESPALIER_ABI_MAJOR), abi_minor: UInt32(ESPALIER_ABI_MINOR), reserved: 0,
      context: Unmanaged.passUnretained(self).toOpaque(),
      get_extension: { _, _ in nil },
      log: { host, level, text in HostCall.of(host)?.log(level, text) },
      progress: { host, fraction, text in HostCall.of(host)?.progress(fraction, text) },
      cancelled: { host in HostCall.of(host)?.monitor.cancellation.isCancelled == true ? 1 : 0 },
      parallel_for: { host, count, body, context in
        HostCall.of(host)?.parallelFor(count, body, context) ?? ESPALIER_INVALID_ARGUMENT
      },
      diagnose: { _, _, _, _, _ in })
    return withExtendedLifetime(self) { withUnsafePointer(to: host) { body($0) } }
  }

  /// The call behind a host pointer that came back from a plugin.
  private static func of(_ host: UnsafePointer<espalier_host>?) -> HostCall? {
    guard let context = host?.pointee.context else { return nil }
    return Unmanaged<HostCall>.fromOpaque(context).takeUnretainedValue()
  }

  private func log(_ level: Int32, _ text: UnsafePointer<CChar>?) {
    services.log(.init(rawValue: level) ?? .info, plugin, ForeignText.repaired(text, limit: 4096))
  }

  private func progress(_ fraction: Double, _ text: UnsafePointer<CChar>?) {
    guard !fraction.isNaN else { return }
    monitor.report(min(max(fraction, 0), 1), ForeignText.repaired(text, limit: 4096))
  }

  typealias LoopBody = @convention(c) (UnsafeMutableRawPointer?, Int64) -> Int32

  /// A body and its context on their way to the compute threads.
  ///
  /// `@unchecked Sendable`: the ABI obliges a plugin to give a body that may run on several threads at a time.
  private struct Loop: @unchecked Sendable {
    let body: LoopBody
    let context: UnsafeMutableRawPointer?
  }

  /// Runs the loop in at most `maximumBlocks` blocks of consecutive indices, so that handing out work costs little
  /// even if the body is short; cancellation and failures are looked at before every index all the same.
  private func parallelFor(_ count: Int64, _ body: LoopBody?, _ context: UnsafeMutableRawPointer?) -> Int32 {
    guard let body, let count = Int(exactly: count), count >= 0 else { return ESPALIER_INVALID_ARGUMENT }
    guard count > 0 else { return ESPALIER_OK }
    guard inLoop.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged else {
      return ESPALIER_INVALID_ARGUMENT
    }
    defer { inLoop.store(false, ordering: .releasing) }

    let loop = Loop(body: body, context: context)
    let outcome = Outcome()
    let cancellation = monitor.cancellation
    let block = max(1, count / Self.maximumBlocks)
    let blocks = (count - 1) / block + 1
    services.parallelFor(blocks) { number in
      let start = number * block
      for index in start..<(start + min(block, count - start)) {
        if outcome.status.load(ordering: .relaxed) != ESPALIER_OK { return }
        if cancellation.isCancelled { return outcome.end(with: ESPALIER_CANCELLED) }
        let status = loop.body(loop.context, Int64(index))
        if status != ESPALIER_OK { return outcome.end(with: status) }
      }
    }
    let status = outcome.status.load(ordering: .relaxed)
    if status != ESPALIER_OK && cancellation.isCancelled { loopCutShort.store(true, ordering: .relaxed) }
    return status
  }

  private static let maximumBlocks = 128

  /// The first status other than OK that a loop met.
  private final class Outcome: Sendable {
    let status = Atomic<Int32>(ESPALIER_OK)

    func end(with status: Int32) {
      _ = self.status.compareExchange(expected: ESPALIER_OK, desired: status, ordering: .relaxed)
    }
  }
}
