// How much of the statistics that a request needed was known before it, as answers say it.

import JSON

package struct StatisticsFacts: Sendable {
  private let reusedLayers, neededLayers: Int

  /// - Parameters:
  ///   - reusedLayers: layers whose statistics were computed earlier.
  ///   - neededLayers: all whose statistics were needed.
  package init(reusedLayers: Int, neededLayers: Int) {
    self.reusedLayers = reusedLayers
    self.neededLayers = neededLayers
  }

  func add(to result: inout JSON) {
    result["statisticsReused"] = JSON(neededLayers > 0 && reusedLayers == neededLayers)
    result["reusedLayers"] = JSON(reusedLayers)
    result["neededLayers"] = JSON(neededLayers)
  }
}
