// What calls of every kind have in common: parameters, the host, the message, and the verdict on how it went.

import CPluginABI
import Compression
import Tensors

/// Calls the functions of one method.
struct MethodCaller: Sendable {
  let method: MethodDescription
  let services: PluginServices

  typealias Function = (
    _ host: UnsafePointer<espalier_host>, _ parameters: UnsafePointer<Double>?,
    _ message: UnsafeMutablePointer<espalier_message>
  ) -> Int32

  /// One value for each described parameter, as plugins take them.
  /// - Throws: `PluginError.inputInvalid`.
  func values(_ parameters: [ParameterValue], for tensor: String) throws(PluginError) -> [Double] {
    guard parameters.count == method.parameters.count else {
      throw invalid(tensor, .parameterCount(given: parameters.count, expected: method.parameters.count))
    }
    var values: [Double] = []
    var texts = 0
    for (value, parameter) in zip(parameters, method.parameters) {
      guard let double = parameter.double(value, texts: texts) else {
        throw invalid(tensor, .parameterValue(name: parameter.name, given: value, allowed: parameter.kind))
      }
      if case .text = value { texts += 1 }
      values.append(double)
    }
    return values
  }

  /// Calls `function` and returns if it succeeded.
  /// - Parameter isInLoop: whether several such calls run at a time, each on one thread.
  /// - Throws: `Cancelled`; the error of a service of the host; `PluginError.failed` with the plugin's own words.
  func call(
    _ tensor: String, _ values: [Double], monitor: Monitor, diagnostics: Diagnostics, region: RegionCall? = nil,
    isInLoop: Bool = false, _ function: Function
  ) throws {
    try monitor.checkCancelled()
    let call = HostCall(
      plugin: method.id, services: services, monitor: monitor, diagnostics: diagnostics, region: region,
      isInLoop: isInLoop)
    var message = MessageBuffer()
    let status = call.withHost { host in
      values.withUnsafeBufferPointer { values in
        message.withMessage { message in function(host, values.isEmpty ? nil : values.baseAddress, message) }
      }
    }
    guard message.isIntact else {
      throw failed(tensor, ESPALIER_FAILED, "it wrote past the end of its message buffer")
    }
    if call.wasCutShort || status == ESPALIER_CANCELLED { try monitor.checkCancelled() }
    if let failure = call.serviceFailure { throw failure }
    guard status == ESPALIER_OK else { throw failed(tensor, status, message.text) }
  }

  private func failed(_ tensor: String, _ status: Int32, _ message: String) -> PluginError {
    .failed(id: method.id, tensor: tensor, status: status, message: message)
  }

  func invalid(_ tensor: String, _ problem: PluginInputProblem) -> PluginError {
    .inputInvalid(id: method.id, tensor: tensor, problem)
  }

  /// Runs a check of what is handed over, on behalf of `tensor`.
  func checking(
    _ tensor: String, _ check: () throws(PluginInputProblem) -> Void
  ) throws(PluginError) {
    do throws(PluginInputProblem) { try check() } catch { throw invalid(tensor, error) }
  }

  /// Runs a check of what came back, on behalf of `tensor`.
  func judging(_ tensor: String, _ check: () throws(PluginViolation) -> Void) throws(PluginError) {
    do throws(PluginViolation) { try check() } catch {
      throw .contractBroken(id: method.id, tensor: tensor, error)
    }
  }
}
