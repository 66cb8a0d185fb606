// AdamW against torch.optim.AdamW: after forty steps as close to the same steps in double as PyTorch's own fp32 is. (Means
// of gradients are the same to the bit, means of squares closer: PyTorch decays those by the float next to beta.)

import Tensors
import TestSupport
import Testing

@Suite struct AdamWGoldenTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let learningRate, beta1, beta2, epsilon, decay: Double
    var testDescription: String { name }
  }

  /// As in Goldens/adamw_goldens.py.
  static let cases = [
    Case(name: "usual", learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 1e-2),
    Case(name: "language", learningRate: 3e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1),
    Case(name: "slow", learningRate: 1e-4, beta1: 0.99, beta2: 0.9999, epsilon: 1e-6, decay: 0.3),
    Case(name: "plain", learningRate: 1e-2, beta1: 0.8, beta2: 0.98, epsilon: 1e-8, decay: 0),
  ]
  static let compute = Result { try Compute(pool: ComputePool(threads: 2)) }
  static func golden() throws -> Golden {
    try Golden(Repository.goldens(of: "TensorsTests") + "/adamw.golden.safetensors")
  }

  /// Weights and moments behind all steps of the golden.
  static func stepped(_ options: Case, _ golden: Golden) throws -> [String: [Float]] {
    let compute = try Self.compute.get()
    let gradients = try golden.numbers("\(options.name).gradients"), n = gradients.shape[1]
    let p = FloatBuffer(count: n), m = FloatBuffer(count: n), v = FloatBuffer(count: n), g = FloatBuffer(count: n)
    _ = p.values.initialize(fromContentsOf: try golden.numbers("\(options.name).weights").values.map { Float($0) })
    m.values.initialize(repeating: 0)
    v.values.initialize(repeating: 0)
    for step in 0..<gradients.shape[0] {
      _ = g.values.initialize(fromContentsOf: gradients.values[step * n..<(step + 1) * n].map { Float($0) })
      compute.adamW(
        p.pointer, m.pointer, v.pointer, g.pointer, rows: 1, columns: n, mask: nil,
        AdamWStep(
          learningRate: options.learningRate, beta1: options.beta1, beta2: options.beta2, epsilon: options.epsilon,
          decay: options.decay, step: step + 1, gradientScale: 1))
    }
    return ["weights": Array(p.readOnly), "first": Array(m.readOnly), "second": Array(v.readOnly)]
  }

  /// ‖a - b‖ / ‖b‖.
  static func error(_ a: [Double], _ b: [Double]) -> Double {
    let squares = zip(a, b).reduce((0.0, 0.0)) { sums, pair in
      (sums.0 + (pair.0 - pair.1) * (pair.0 - pair.1), sums.1 + pair.1 * pair.1)
    }
    return (squares.0 / squares.1).squareRoot()
  }

  @Test(arguments: cases)
  func asCloseToDoubleAsPyTorch(options: Case) throws {
    let golden = try Self.golden(), ours = try Self.stepped(options, golden)
    for (part, values) in ours {
      let exact = try golden.numbers("\(options.name).double.\(part)").values
      let single = try golden.numbers("\(options.name).single.\(part)").values
      let error = Self.error(values.map(Double.init), exact), torch = Self.error(single, exact)
      #expect(error < 1e-6 && error < 1.2 * torch, "\(part): off by \(error), PyTorch by \(torch)")
      // Every value by itself. First moments cancel, so that their errors are not of their own size.
      let tolerance = Tolerance(absolute: part == "second" ? 0 : 1e-6, relative: 2e-6)
      #expect(difference(Numbers(values.map(Double.init)), Numbers(exact), tolerance) == nil, "\(part)")
    }
  }

  /// A test of the test: 1 - beta2 from the float next to 0.999 shows.
  @Test func roundedBetasShow() throws {
    let golden = try Self.golden()
    let rounded = Case(
      name: "usual", learningRate: 1e-3, beta1: Double(0.9 as Float), beta2: Double(0.999 as Float), epsilon: 1e-8,
      decay: 1e-2)
    let second = try #require(Self.stepped(rounded, golden)["second"])
    let exact = try golden.numbers("usual.double.second").values
    #expect(Self.error(second.map(Double.init), exact) > 5e-6)
  }
}
