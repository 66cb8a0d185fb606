// A model to be evaluated, whatever its weights come from.

import Tensors
import Transformers

/// A model with the weights that it is evaluated with: those of a revision, or of a training.
struct EvaluatedModel {
  let transformer: Transformer
  let weights: any WeightSource
}

extension EvaluatedModel {
  init(_ state: ModelState) { self.init(transformer: state.transformer, weights: state.revision) }
}
