// A plugin's selector in the clothes of Compression's `Selector`: the one place where a plugin is asked to compute.
// Trusts neither side: input is checked against the contract, output starts as NaN, the message buffer has a fence.

import CPluginABI
package import Compression
package import Tensors

package struct PluginSelector: Selector {
  package let description: SelectorDescription
  private let function: SelectorExtension
  private let services: PluginServices

  init(_ function: SelectorExtension, services: PluginServices) {
    description = function.description
    self.function = function
    self.services = services
  }

  /// - Throws: `Cancelled`; `PluginError.inputInvalid` before the plugin is called; `PluginError.failed` with the
  ///   plugin's own words. Scores that the plugin leaves out are NaN.
  package func score(
    _ input: MatrixInput, parameters: [ParameterValue], into scores: UnsafeMutableBufferPointer<Float>,
    monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    let values = try checkedValues(parameters, for: input)
    try check(input, scores: scores)
    try monitor.checkCancelled()
    scores.update(repeating: .nan)

    let call = HostCall(plugin: description.method.id, services: services, monitor: monitor)
    var message = MessageBuffer()
    let status = call.withHost { host in
      input.withMatrix(moments: description.method.statistics == .moments) { matrix in
        values.withUnsafeBufferPointer { values in
          message.withMessage { message in
            function.score(host, matrix, values.isEmpty ? nil : values.baseAddress, scores.baseAddress, message)
          }
        }
      }
    }

    guard message.isIntact else {
      throw failed(input, ESPALIER_FAILED, "it wrote past the end of its message buffer")
    }
    if call.wasCutShort || status == ESPALIER_CANCELLED { try monitor.checkCancelled() }
    guard status == ESPALIER_OK else { throw failed(input, status, message.text) }
  }

  private func failed(_ input: MatrixInput, _ status: Int32, _ message: String) -> PluginError {
    .failed(id: description.method.id, tensor: input.tensor, status: status, message: message)
  }

  // MARK: The contract, before the call

  private func check(_ input: MatrixInput, scores: UnsafeMutableBufferPointer<Float>) throws(PluginError) {
    let (rows, columns) = (input.rows, input.columns)
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    let sane = rows >= 1 && columns >= 1 && !overflow
    guard sane, input.weights.count == count else {
      throw invalid(input, .shape(what: "weights", rows: rows, columns: columns, given: input.weights.count))
    }
    guard scores.count == count else {
      throw invalid(input, .shape(what: "scores", rows: rows, columns: columns, given: scores.count))
    }
    guard description.method.statistics == .moments else { return }
    guard let moments = input.statistics.input.moments else { throw invalid(input, .momentsMissing) }
    guard moments.sequences >= 1 else {
      throw invalid(input, .momentsMismatch(what: "sequences", given: moments.sequences, expected: 1))
    }
    for given in [moments.sum.count, moments.sumOfSquares.count, moments.sumOfMagnitudes.count] where given != columns {
      throw invalid(input, .momentsMismatch(what: "inputs", given: given, expected: columns))
    }
  }

  private func checkedValues(
    _ parameters: [ParameterValue], for input: MatrixInput
  ) throws(PluginError) -> [Double] {
    guard parameters.count == description.method.parameters.count else {
      throw invalid(
        input, .parameterCount(given: parameters.count, expected: description.method.parameters.count))
    }
    var values: [Double] = []
    for (value, parameter) in zip(parameters, description.method.parameters) {
      switch (value, parameter.kind) {
      case (.number(let number), .number(_, let minimum, let maximum)) where number >= minimum && number <= maximum:
        values.append(number)
      case (.integer(let integer), .integer(_, let minimum, let maximum))
      where integer >= minimum && integer <= maximum:
        values.append(Double(integer))
      case (.boolean(let boolean), .boolean):
        values.append(boolean ? 1 : 0)
      default:
        throw invalid(input, .parameterValue(name: parameter.name, given: value, allowed: parameter.kind))
      }
    }
    return values
  }

  private func invalid(_ input: MatrixInput, _ problem: PluginInputProblem) -> PluginError {
    .inputInvalid(id: description.method.id, tensor: input.tensor, problem)
  }
}

extension MatrixInput {
  /// Runs `body` with the C form of this input, which lives as long as `body`.
  fileprivate func withMatrix<Result>(
    moments wanted: Bool, _ body: (UnsafePointer<espalier_matrix>) -> Result
  ) -> Result {
    tensor.withCString { name in
      withMoments(wanted) { moments in
        let matrix = espalier_matrix(
          struct_size: UInt32(MemoryLayout<espalier_matrix>.size), reserved: 0, tensor: name,
          layer: layer.map(Int64.init) ?? -1, rows: Int64(rows), columns: Int64(columns),
          weights: weights.baseAddress, moments: moments, gram: nil,
          gradients: nil, regional_gradients: nil, terms: nil, term_count: 0)
        return withUnsafePointer(to: matrix) { body($0) }
      }
    }
  }

  private func withMoments<Result>(
    _ wanted: Bool, _ body: (UnsafePointer<espalier_moments>?) -> Result
  ) -> Result {
    guard wanted, let moments = statistics.input.moments else { return body(nil) }
    return moments.sum.withUnsafeBufferPointer { sum in
      moments.sumOfSquares.withUnsafeBufferPointer { squares in
        moments.sumOfMagnitudes.withUnsafeBufferPointer { magnitudes in
          moments.sumOfSquaredMeans.withUnsafeBufferPointer { means in
          let moments = espalier_moments(
            struct_size: UInt32(MemoryLayout<espalier_moments>.size), reserved: 0,
            sequences: Int64(moments.sequences), tokens: Int64(moments.tokens), count: Int64(sum.count),
            sum: sum.baseAddress, sum_of_squares: squares.baseAddress, sum_of_magnitudes: magnitudes.baseAddress,
            sum_of_squared_means: means.baseAddress)
          return withUnsafePointer(to: moments) { body($0) }
          }
        }
      }
    }
  }
}
