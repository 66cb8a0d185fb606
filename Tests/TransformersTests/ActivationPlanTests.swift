// Which layers keep their activations for a budget.

import TestSupport
import Testing
import Transformers

@Suite struct ActivationPlanTests {
  @Test(arguments: Family.names)
  func moreMemoryKeepsMoreLayers(name: String) throws {
    let transformer = try TestModel(tiny: name).transformer, layers = transformer.shape.layers
    for batch in [Batch(sequences: 1, length: 1), Family.batch, Batch(sequences: 8, length: 64)] {
      let needed = batch.tokens * transformer.trainingBytesPerToken
      let perLayer = batch.tokens * transformer.keptBytesPerToken
      func kept(_ budget: Int) -> Int { ActivationPlan(transformer, batch: batch, budget: budget).keptLayers }
      var last = 0
      for budget in stride(from: 0, through: needed + (layers + 1) * perLayer, by: max(1, perLayer / 7)) {
        #expect(kept(budget) >= last && kept(budget) <= layers)
        last = kept(budget)
      }
      #expect(last == layers)
      for layer in 0...layers {  // to the byte
        #expect(kept(needed + layer * perLayer) == layer)
        #expect(kept(needed + layer * perLayer - 1) == max(0, layer - 1))
      }
    }
  }

  @Test func nothingAndEverything() throws {
    let transformer = try TestModel(tiny: "llama3").transformer, batch = Family.batch
    #expect(ActivationPlan(transformer, batch: batch, budget: 0) == .recomputeAll)
    #expect(ActivationPlan(transformer, batch: batch, budget: -1) == .recomputeAll)
    #expect(ActivationPlan(transformer, batch: batch, budget: .max) == .keepAll(transformer))
    #expect(ActivationPlan.keepAll(transformer).keptLayers == transformer.shape.layers)
  }
}
