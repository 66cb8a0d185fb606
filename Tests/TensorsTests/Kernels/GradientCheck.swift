// Gradients against central differences, in double. KernelGradientTests shows that a wrong gradient is found.

import TestSupport

extension Seeded {
  /// Normal values of deviation `scale`.
  mutating func doubles(_ count: Int, scale: Double = 1) -> [Double] { (0..<count).map { _ in scale * normal() } }
}

/// What is wrong with `gradient` as the derivative of sum_i dout[i] f(x)[i] for x, or nil if it agrees with
/// (f(x + h) - f(x - h)) / 2h to 1e-6 of itself. (h = 1e-5: error of the difference about 1e-10)
func gradientFault(
  _ gradient: [Double], at x: [Double], dout: [Double], step h: Double = 1e-5, of f: ([Double]) -> [Double]
) -> String? {
  let numeric = x.indices.map { i in
    var above = x, below = x
    above[i] += h
    below[i] -= h
    let high = f(above), low = f(below)
    return dout.indices.reduce(0) { $0 + dout[$1] * (high[$1] - low[$1]) } / (2 * h)
  }
  return difference(Numbers(gradient), Numbers(numeric), Tolerance(absolute: 1e-8, relative: 1e-6))
}

/// Zeros to be written on.
func zeros(_ count: Int) -> [Double] { [Double](repeating: 0, count: count) }
