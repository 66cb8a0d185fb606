// The host as a plugin sees it during one call: the C functions of `espalier_host`, and the state behind them.

import CPluginABI
import Compression
import Glibc
import Synchronization
import Tensors

/// The state of one call into a plugin. Made on the thread of the call.
final class HostCall: Sendable {
  private let plugin: String
  let services: PluginServices
  let monitor: Monitor
  private let diagnostics: Diagnostics
  /// The block of a block compensator's call.
  let region: RegionCall?
  private let thread = pthread_self()
  private let inLoop: Atomic<Bool>
  private let cutShort = Atomic<Bool>(false)
  private let failure = Mutex<(any Error)?>(nil)

  /// - Parameter isInLoop: whether the call itself is the body of a loop of the host's, so that it can have none.
  init(
    plugin: String, services: PluginServices, monitor: Monitor, diagnostics: Diagnostics, region: RegionCall? = nil,
    isInLoop: Bool = false
  ) {
    self.plugin = plugin
    self.services = services
    self.monitor = monitor
    self.diagnostics = diagnostics
    self.region = region
    inLoop = Atomic(isInLoop)
  }

  /// True once a cancellation has kept a service from doing all its work: whatever the plugin says then, its result is
  /// not whole.
  var wasCutShort: Bool { cutShort.load(ordering: .relaxed) }
  func noteCutShort() { cutShort.store(true, ordering: .relaxed) }

  /// The first error of the host's own services, which outranks whatever the plugin made of it.
  var serviceFailure: (any Error)? { failure.withLock { $0 } }
  func note(_ error: any Error) { failure.withLock { if $0 == nil { $0 = error } } }

  /// Whether a parallel loop of this call is under way, on whatever threads.
  var isInLoop: Bool { inLoop.load(ordering: .acquiring) }
  var isOnItsThread: Bool { pthread_equal(thread, pthread_self()) != 0 }

  /// Runs `body` with a host that lives as long as `body`.
  func withHost<Result>(_ body: (UnsafePointer<espalier_host>) -> Result) -> Result {
    let host = espalier_host(
      struct_size: UInt32(MemoryLayout<espalier_host>.size),
      abi_major: UInt32(ESPALIER_ABI_MAJOR), abi_minor: UInt32(ESPALIER_ABI_MINOR), reserved: 0,
      context: Unmanaged.passUnretained(self).toOpaque(),
      get_extension: { host, id in HostCall.of(host)?.hostExtension(id) },
      log: { host, level, text in HostCall.of(host)?.log(level, text) },
      progress: { host, fraction, text in HostCall.of(host)?.progress(fraction, text) },
      cancelled: { host in HostCall.of(host)?.monitor.cancellation.isCancelled == true ? 1 : 0 },
      parallel_for: { host, count, body, context in
        HostCall.of(host)?.parallelFor(count, body, context) ?? ESPALIER_INVALID_ARGUMENT
      },
      diagnose: { host, level, kind, tensor, text in HostCall.of(host)?.diagnose(level, kind, tensor, text) })
    return withExtendedLifetime(self) { withUnsafePointer(to: host) { body($0) } }
  }

  /// The call behind a host pointer that came back from a plugin.
  static func of(_ host: UnsafePointer<espalier_host>?) -> HostCall? {
    guard let context = host?.pointee.context else { return nil }
    return Unmanaged<HostCall>.fromOpaque(context).takeUnretainedValue()
  }

  private func hostExtension(_ id: UnsafePointer<CChar>?) -> UnsafeRawPointer? {
    guard let id else { return nil }
    if strcmp(id, ESPALIER_LINEAR_ALGEBRA) == 0 { return LinearAlgebraTable.pointer }
    if strcmp(id, ESPALIER_REGION) == 0 { return region?.pointer }
    return nil
  }

  private func diagnose(
    _ level: Int32, _ kind: UnsafePointer<CChar>?, _ tensor: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?
  ) {
    let severity: Diagnostic.Severity =
      switch level {
      case ESPALIER_LOG_ERROR: .error
      case ESPALIER_LOG_WARNING: .warning
      default: .information
      }
    // One byte more than allowed, so that a longer word is not taken for a shorter one.
    let word = ForeignText.repaired(kind, limit: 65)
    let isWord = word.utf8.count <= 64 && ForeignText.isCamelCase(word)
    let subject = ForeignText.repaired(tensor, limit: 1024)
    diagnostics.add(
      Diagnostic(
        severity, kind: isWord ? word : "plugin", tensor: subject.isEmpty ? nil : subject,
        ForeignText.repaired(text, limit: 4096)))
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
    if status != ESPALIER_OK && cancellation.isCancelled { noteCutShort() }
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
