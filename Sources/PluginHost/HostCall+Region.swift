// The host's extension ESPALIER_REGION: the gradient of a block's output, for the call of a block compensator.

import CPluginABI
import Compression
import Tensors

/// The region of one call, and its C form.
///
/// `@unchecked Sendable`: the region is used on the thread of the call only, which `gradient` makes sure of.
final class RegionCall: @unchecked Sendable {
  private let region: any Region
  private let matrices: Int
  private let table: UnsafeMutablePointer<espalier_region>

  /// - Parameter matrices: those of the call.
  init(_ region: any Region, matrices: Int) {
    self.region = region
    self.matrices = matrices
    table = .allocate(capacity: 1)
    table.initialize(
      to: espalier_region(
        struct_size: UInt32(MemoryLayout<espalier_region>.size), reserved: 0, samples: Int64(region.samples),
        gradient: { host, first, count, weights, gradients, loss in
          guard let call = HostCall.of(host), let region = call.region, call.isOnItsThread, !call.isInLoop else {
            return ESPALIER_INVALID_ARGUMENT
          }
          return region.gradient(call, first, count, weights, gradients, loss)
        }))
  }

  deinit { table.deallocate() }

  var pointer: UnsafeRawPointer { UnsafeRawPointer(table) }

  private func gradient(
    _ call: HostCall, _ first: Int64, _ count: Int64, _ weights: UnsafePointer<UnsafePointer<Float>?>?,
    _ gradients: UnsafePointer<UnsafeMutablePointer<Float>?>?, _ loss: UnsafeMutablePointer<Double>?
  ) -> Int32 {
    guard let weights, let gradients, let loss, first >= 0, count >= 1, first <= region.samples,
      count <= Int64(region.samples) - first
    else { return ESPALIER_INVALID_ARGUMENT }
    let inputs = (0..<matrices).compactMap { weights[$0] }, outputs = (0..<matrices).compactMap { gradients[$0] }
    guard inputs.count == matrices, outputs.count == matrices else { return ESPALIER_INVALID_ARGUMENT }
    if call.monitor.cancellation.isCancelled {
      call.noteCutShort()
      return ESPALIER_CANCELLED
    }
    do {
      loss.pointee = try region.gradient(Int(first)..<Int(first + count), weights: inputs, into: outputs)
      return ESPALIER_OK
    } catch {
      call.note(error)
      return error is Cancelled ? ESPALIER_CANCELLED : ESPALIER_FAILED
    }
  }
}
