// The error of a linear map's output from the Gram matrix, against the outputs themselves.

import Compression
import Tensors
import TestSupport
import Testing

/// The statistics of inputs `[tokens, n]`, by plain loops.
func plainStatistics(_ inputs: [Float], n: Int) -> (gram: Gram, moments: Moments) {
  let tokens = inputs.count / n, products = FloatBuffer(count: n * n)
  var moments = Moments(inputs: n)
  (moments.tokens, moments.sequences) = (tokens, 1)
  for a in 0..<n {
    for b in 0..<n {
      let sum = (0..<tokens).reduce(0.0) { $0 + Double(inputs[$1 * n + a]) * Double(inputs[$1 * n + b]) }
      products.pointer[a * n + b] = Float(sum)
      if a == b { moments.sumOfSquares[a] = sum }
    }
    moments.sum[a] = (0..<tokens).reduce(0.0) { $0 + Double(inputs[$1 * n + a]) }
  }
  return (Gram(sequences: 1, tokens: tokens, inputs: n, products: products), moments)
}

@Suite struct LayerErrorTests {
  @Test(arguments: ["half", "refit", "nearly", "all"])
  func agreesWithNumpy(name: String) throws {
    let golden = try Golden("\(Repository.goldens(of: "CompressionTests"))/output_error.golden.safetensors")
    func floats(_ key: String) throws -> [Float] { try golden.numbers("\(name).\(key)").values.map { Float($0) } }
    let weights = try floats("weights"), new = try floats("new"), bias = try floats("bias")
    let compute = try Engine.compute
    let n = weights.count / bias.count, expected = try golden.numbers("\(name).error").values
    let (gram, moments) = plainStatistics(try floats("inputs"), n: n)
    let error = try weights.withUnsafeBufferPointer { weights in
      try new.withUnsafeBufferPointer { new in
        try relativeOutputError(weights, new, gram: gram, compute: compute)
      }
    }
    #expect(abs(error / expected[0] - 1) < 1e-4, "\(error), not \(expected[0])")
    let differences = zip(weights, new).map { $0 - $1 }
    let change = try outputChange(
      differences, bias: bias, rows: bias.count, gram: gram, moments: moments, compute: compute,
      cancellation: Cancellation())
    let energy = try outputEnergy(weights, rows: bias.count, gram: gram, compute: compute, cancellation: Cancellation())
    #expect(abs(change / energy / expected[1] - 1) < 1e-4)
  }

  @Test func nothingChanged() throws {
    var random = Seeded(4)
    let weights = random.floats(12 * 20), (gram, _) = plainStatistics(random.floats(50 * 20), n: 20)
    let error = try weights.withUnsafeBufferPointer {
      try relativeOutputError($0, $0, gram: gram, compute: Engine.compute)
    }
    #expect(error == 0)
  }

  @Test func relativeToNothing() {
    #expect(OutputError(change: 0, energy: 0).relative == 0)
    #expect(OutputError(change: 1, energy: 0).relative == .infinity)
    #expect((OutputError(change: 1, energy: 2) + OutputError(change: 2, energy: 4)).relative == 0.5)
  }

  @Test func cancelled() throws {
    let weights = [Float](repeating: 1, count: 8), (gram, _) = plainStatistics([1, 1, 2, 3], n: 2)
    let cancellation = Cancellation()
    cancellation.cancel()
    #expect(throws: Cancelled.self) {
      try outputEnergy(weights, rows: 4, gram: gram, compute: Engine.compute, cancellation: cancellation)
    }
  }
}
