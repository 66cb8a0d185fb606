// The comparator of numeric tests. It must be able to fail: shape and type come first, NaN agrees with nothing, and
// ComparisonTests shows it perturbed, cut, shuffled and NaN copies.

/// How far a value may be from the expected one: |a - b| <= absolute + relative * |b|.
package struct Tolerance: Sendable {
  package let absolute: Double
  package let relative: Double

  package init(absolute: Double = 0, relative: Double = 0) {
    self.absolute = absolute
    self.relative = relative
  }

  /// Bit for bit, but for the sign of zero.
  package static let exact = Tolerance()
}

/// What is wrong with `actual`, or nil if it agrees with `expected`: another type, another shape, or the element that
/// is furthest outside the tolerance, with its index and how many more there are.
///
/// NaN agrees with nothing, not even with NaN; an infinity only with itself.
package func difference(_ actual: Numbers, _ expected: Numbers, _ tolerance: Tolerance = .exact) -> String? {
  guard actual.dtype == expected.dtype else { return "type \(actual.dtype), expected \(expected.dtype)" }
  guard actual.shape == expected.shape else { return "shape \(actual.shape), expected \(expected.shape)" }
  let count = expected.shape.reduce(1, *)
  guard actual.values.count == count, expected.values.count == count else {
    return "\(actual.values.count) values, expected \(expected.values.count) for shape \(expected.shape)"
  }
  var worst: (index: Int, excess: Double)?
  var wrong = 0
  for index in 0..<count {
    let a = actual.values[index], b = expected.values[index]
    if a == b { continue }
    let error = abs(a - b), allowed = tolerance.absolute + tolerance.relative * abs(b)
    if error <= allowed, allowed < .infinity { continue }
    wrong += 1
    let ratio = error / allowed  // NaN and infinite errors are worse than any other
    let excess = ratio.isNaN ? .infinity : ratio
    if worst.map({ excess > $0.excess }) ?? true { worst = (index, excess) }
  }
  guard let worst else { return nil }
  let a = actual.values[worst.index], b = expected.values[worst.index]
  return "\(wrong) of \(count) values differ, worst at \(place(worst.index, in: expected.shape)): \(a), expected \(b), "
    + "off by \(abs(a - b)), allowed \(tolerance.absolute + tolerance.relative * abs(b))"
}

/// A flat index as coordinates.
private func place(_ index: Int, in shape: [Int]) -> [Int] {
  var rest = index
  var coordinates: [Int] = []
  for size in shape.reversed() {
    coordinates.insert(rest % size, at: 0)
    rest /= size
  }
  return coordinates
}
