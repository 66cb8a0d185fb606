// One measured figure: what it is called, how much, and what it is held against.

package import JSON

package struct Figure: Sendable {
  /// The member under which it goes into JSON: camelCase with its unit.
  package let key: String
  /// What people read.
  package let name: String
  package let value: Double
  package let unit: String
  /// What belongs beside the number: a share of a ceiling, the conditions.
  package let note: String

  init(_ key: String, _ name: String, _ value: Double, _ unit: String, note: String = "") {
    self.key = key
    self.name = name
    self.value = value
    self.unit = unit
    self.note = note
  }
}

package struct Figures: Sendable {
  package let title: String
  package let figures: [Figure]

  package var json: JSON { .object(JSONObject(figures.map { ($0.key, JSON($0.value)) })) }
}

/// The middle value; the mean of the two middle ones for an even count.
func median(_ values: [Double]) -> Double {
  guard !values.isEmpty else { return .nan }
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

/// The value below which a fraction of the values lie.
func quantile(_ values: [Double], _ fraction: Double) -> Double {
  guard !values.isEmpty else { return .nan }
  return values.sorted()[min(values.count - 1, Int(fraction * Double(values.count)))]
}

func seconds(of work: () throws -> Void) rethrows -> Double { try ContinuousClock().measure(work) / .seconds(1) }
