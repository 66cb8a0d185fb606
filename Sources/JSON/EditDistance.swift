// How far a mistyped word is from the words that exist.

/// The candidate closest to `word`, if at most two letters must be inserted, deleted, replaced or swapped with their
/// neighbour, and fewer than the word has; the first of several.
package func nearest(to word: String, among candidates: [String]) -> String? {
  let limit = min(2, word.utf8.count - 1)
  guard word.utf8.count <= 100 else { return nil }
  let ranked = candidates.map { (name: $0, distance: editDistance(Array(word.utf8), Array($0.utf8))) }
  guard let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= limit else { return nil }
  return best.name
}

/// Optimal string alignment distance (Damerau 1964, adjacent transpositions only), in bytes.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  guard abs(a.count - b.count) <= 2 else { return abs(a.count - b.count) }
  // distance[i][j] is that of the first i of `a` to the first j of `b`; three rows suffice.
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in 0..<a.count {
    var row = [i + 1]
    for j in 0..<b.count {
      var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
      row.append(best)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
