// Numbers and tables as text. Pure.

/// `text` with spaces before it, `width` characters in all.
func padded(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

/// `value` with so many digits after the point; whatever is not finite or huge by its own name.
func fixed(_ value: Double, _ digits: Int) -> String {
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = (abs(value) * scale).rounded()
  guard scaled < 1e15 else { return "\(value)" }  // NaN too
  let (whole, part) = Int(scaled).quotientAndRemainder(dividingBy: Int(scale))
  let tail = digits > 0 ? "." + String(repeating: "0", count: digits - "\(part)".count) + "\(part)" : ""
  return (value < 0 && scaled > 0 ? "-" : "") + "\(whole)" + tail
}

/// Counts and sizes in three digits: 134515008 is `135 M`, and with the unit B `135 MB`.
func short(_ value: Double, unit: String = "") -> String {
  for (prefix, scale) in [("G", 1e9), ("M", 1e6), ("k", 1e3)] where value >= scale * 0.9995 {
    let scaled = value / scale
    return fixed(scaled, scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0) + " " + prefix + unit
  }
  return fixed(value, 0) + (unit.isEmpty ? "" : " " + unit)
}

/// A duration with the unit that suits it: `0.8 ms`, `41 ms`, `1.24 s`, `58.9 s`.
func duration(_ seconds: Double) -> String {
  if seconds < 0.00995 { return fixed(seconds * 1000, 1) + " ms" }
  if seconds < 0.9995 { return fixed(seconds * 1000, 0) + " ms" }
  return fixed(seconds, seconds < 9.995 ? 2 : 1) + " s"
}

/// A percentage of a fraction: 0.5 is `50 %`, 0.125 is `12.5 %`.
func percent(_ fraction: Double) -> String {
  let text = fixed(fraction * 100, 1)
  return (text.hasSuffix(".0") ? String(text.dropLast(2)) : text) + " %"
}

/// Rows under headings, aligned, two spaces apart.
struct Table {
  struct Column {
    var heading: String
    /// Numbers are aligned at their right end.
    var isNumber = false
  }

  var columns: [Column]
  var rows: [[String]] = []

  var text: String {
    let widths = columns.indices.map { place in
      rows.reduce(columns[place].heading.count) { max($0, $1[place].count) }
    }
    func line(_ cells: [String]) -> String {
      var text = ""
      for (place, cell) in cells.enumerated() {
        let space = String(repeating: " ", count: widths[place] - cell.count)
        text += (place > 0 ? "  " : "") + (columns[place].isNumber ? space + cell : cell + space)
      }
      while text.last == " " { text.removeLast() }
      return text
    }
    let rule = String(repeating: "─", count: widths.reduce(0, +) + 2 * (widths.count - 1))
    return ([line(columns.map(\.heading)), rule] + rows.map(line)).joined(separator: "\n")
  }
}
