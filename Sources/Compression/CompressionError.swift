// What can be wrong with scoring, masking, pruning and evaluating: facts, and their words.

package enum CompressionError: Error, Equatable {
  case modulesMatchNothing(globs: [String], examples: [String])
  case tensorNotFound(name: String, nearest: [String])
  case tensorNotPrunable(name: String)
  case tensorNotScored(name: String)
  case sparsityInvalid(given: String)
  case patternInvalid(given: String)
  case patternDoesNotDivide(pattern: String, tensor: String, columns: Int)
  case groupNotSequential(group: String)
  case groupNotSolved(plugin: String)
  case groupNotContinued(plugin: String)
  case allocationWithGlobalGroup
  case solverIsWhole(plugin: String)
  case allocationImpossible(reason: String)
  case blockFitNeedsSequence(plugin: String)
  case blockFitNotPreviewed(plugin: String)
  case termsInvalid(plugin: String, reason: String)
  case datasetRequired(plugin: String)
  case scoresOfAnotherModel(scores: String, model: String)
  case scoresNotComparable(reason: String)
  case nonFiniteScores(plugin: String, tensor: String, index: Int)
  case nonFiniteLoss(window: Int)
  case windowInvalid(window: Int, sequenceLength: Int)
  case windowOfDocuments
  case nothingPredicted
  case vocabularyMismatch(model: Int, reference: Int)
  case regionOutside(tensor: String, region: String, rows: Int, columns: Int)
  case regionTooLarge(values: Int, maximum: Int)
  case editInvalid(index: Int, reason: String)
  case layerNotFound(layer: Int, layers: Int)
  case layerNotChosen(layer: Int)
  case unitUnknown(plugin: String, unit: String, known: [String])
  case unitRequestInvalid(reason: String)
  case channelsNotRemovable(reason: String)
  case residualHeadsInvalid(reason: String)
  case biasesNotExportable(modelType: String, tensor: String)
  case maskFileMismatch(path: String, reason: String)
  case statisticsForgotten(tensor: String, limits: String)
  case statisticsTooLarge(needed: Int, limits: String)
  case memoryInsufficient(purpose: String, needed: Int, available: Int)

  /// A stable word for clients.
  package var kind: String {
    switch self {
    case .modulesMatchNothing: "modulesMatchNothing"
    case .tensorNotFound: "tensorNotFound"
    case .tensorNotPrunable: "tensorNotPrunable"
    case .tensorNotScored: "tensorNotScored"
    case .sparsityInvalid: "sparsityInvalid"
    case .patternInvalid: "patternInvalid"
    case .patternDoesNotDivide: "patternDoesNotDivide"
    case .groupNotSequential: "groupNotSequential"
    case .groupNotSolved, .groupNotContinued: "groupNotSolved"
    case .solverIsWhole: "solverIsWhole"
    case .allocationWithGlobalGroup, .allocationImpossible: "allocationInvalid"
    case .blockFitNeedsSequence, .blockFitNotPreviewed: "sequentialRequired"
    case .termsInvalid: "termsInvalid"
    case .datasetRequired: "datasetRequired"
    case .scoresOfAnotherModel: "scoresOfAnotherModel"
    case .scoresNotComparable: "scoresNotComparable"
    case .nonFiniteScores: "nonFiniteScores"
    case .nonFiniteLoss: "nonFiniteLoss"
    case .windowInvalid, .windowOfDocuments: "windowInvalid"
    case .nothingPredicted: "nothingPredicted"
    case .vocabularyMismatch: "vocabularyMismatch"
    case .regionOutside: "regionOutside"
    case .regionTooLarge: "regionTooLarge"
    case .editInvalid: "editInvalid"
    case .layerNotFound: "layerNotFound"
    case .layerNotChosen: "modulesMatchNothing"
    case .unitUnknown: "unitUnknown"
    case .unitRequestInvalid: "unitRequestInvalid"
    case .channelsNotRemovable: "channelsNotRemovable"
    case .residualHeadsInvalid: "residualHeadsInvalid"
    case .biasesNotExportable: "biasesNotExportable"
    case .maskFileMismatch: "maskFileMismatch"
    case .statisticsForgotten: "statisticsForgotten"
    case .statisticsTooLarge: "statisticsTooLarge"
    case .memoryInsufficient: "memoryInsufficient"
    }
  }

  package var message: String {
    switch self {
    case .modulesMatchNothing(let globs, let examples):
      "No tensor that this works on matches \(globs.map { "\"\($0)\"" }.joined(separator: ", ")). Names look like "
        + "\(examples.joined(separator: ", ")); in a glob * stands for any characters and ? for one."
    case .tensorNotFound(let name, let nearest):
      "The model has no tensor \"\(name)\"."
        + (nearest.isEmpty ? "" : " Did you mean \(nearest.joined(separator: " or "))?")
        + " model/describe lists all."
    case .tensorNotPrunable(let name):
      "The tensor \"\(name)\" is not prunable: only the linear maps of the layers are, never embeddings, norms or head."
    case .tensorNotScored(let name):
      "These scores hold nothing about \"\(name)\"; importance/score answered which tensors they cover."
    case .sparsityInvalid(let given):
      "The sparsity \(given) is outside 0...1. It is the fraction of weights to prune: 0.5 prunes half."
    case .patternInvalid(let given):
      "\"\(given)\" is not a pattern. Expected \"N:M\" with 1 <= N < M <= 256: N pruned of every M consecutive "
        + "inputs of a row, as in \"2:4\"."
    case .patternDoesNotDivide(let pattern, let tensor, let columns):
      "The pattern \(pattern) needs rows that are a multiple of its second number; \"\(tensor)\" has \(columns) columns. "
        + "Leave the tensor out with `modules`, or take another pattern."
    case .groupNotSequential(let group):
      "The group \"\(group)\" compares weights across layers, which a layer-by-layer run cannot. "
        + "Use matrix, row or column, or set `sequential` to false."
    case .groupNotSolved(let plugin):
      "The solver \"\(plugin)\" works on one input's tensors at a time and cannot compare weights across all of them. "
        + "Use the group matrix, row or column."
    case .groupNotContinued(let plugin):
      "The plugin \"\(plugin)\" works on one tensor at a time and cannot go on from weights compared across all of them. "
        + "Use the group matrix, row or column, or leave it out."
    case .solverIsWhole(let plugin):
      "The solver \"\(plugin)\" chooses masks and weights together: leave out `refinement` and `compensation`, but for a "
        + "plugin that fits whole blocks."
    case .allocationWithGlobalGroup:
      "The group global already shares the sparsity out among the tensors. Leave out `allocation`, or use the group "
        + "matrix, row or column."
    case .allocationImpossible(let reason):
      "The sparsity cannot be shared out: \(reason)."
    case .blockFitNeedsSequence(let plugin):
      "The plugin \"\(plugin)\" fits blocks one after the other. Set `sequential` to true."
    case .blockFitNotPreviewed(let plugin):
      "The plugin \"\(plugin)\" fits blocks one after the other, which no preview does: a preview looks at each tensor by "
        + "itself. Leave it out here."
    case .termsInvalid(let plugin, let reason):
      "The plugin \"\(plugin)\" cannot take these `terms`: \(reason)."
    case .datasetRequired(let plugin):
      "A `dataset` is needed (see dataset/load): the plugin \"\(plugin)\" works by statistics of the inputs, or the run "
        + "goes layer by layer."
    case .scoresOfAnotherModel(let scores, let model):
      "The scores \(scores) were computed for the model \"\(model)\"."
    case .scoresNotComparable(let reason):
      "The two scores cannot be compared: \(reason)."
    case .nonFiniteScores(let plugin, let tensor, let index):
      "The plugin \"\(plugin)\" gave NaN as a score of \"\(tensor)\" (element \(index)). Nothing was changed. "
        + "Check the weights and the calibration data, or the plugin."
    case .nonFiniteLoss(let window):
      "The loss of window \(window) is not finite: the weights or activations overflow or hold NaN. Nothing was changed. "
        + "Undo the last edits, or check the model's files."
    case .windowInvalid(let window, let sequenceLength):
      "A window of \(window) tokens does not fit: expected 2...\(sequenceLength), the dataset's sequence length."
    case .windowOfDocuments:
      "The dataset's sequences are documents, which are not cut into windows. Leave `window` out."
    case .nothingPredicted:
      "The dataset has prompts only: no token of it is predicted. Load data with completions or texts."
    case .vocabularyMismatch(let model, let reference):
      "The model's vocabulary has \(model) tokens and the reference's \(reference): their distributions cannot be "
        + "compared. Take a reference with the same tokenizer."
    case .regionOutside(let tensor, let region, let rows, let columns):
      "The region \(region) is outside \"\(tensor)\", which has \(rows) rows and \(columns) columns."
    case .regionTooLarge(let values, let maximum):
      "The region has \(values) values; one answer carries at most \(maximum). Ask for a smaller region or a heatmap."
    case .editInvalid(let index, let reason):
      "Edit \(index) is not valid: \(reason). No edit was made."
    case .layerNotFound(let layer, let layers):
      "There is no layer \(layer): the model has \(layers), 0...\(layers - 1)."
    case .layerNotChosen(let layer):
      "`modules` choose no tensor of layer \(layer), so that nothing of it would be pruned. Leave it out of `layers`."
    case .unitUnknown(let plugin, let unit, let known):
      "The plugin \"\(plugin)\" does not score the unit \"\(unit)\"; it scores \(known.joined(separator: ", "))."
    case .unitRequestInvalid(let reason):
      "That cannot be asked of scores of units: \(reason)."
    case .channelsNotRemovable(let reason):
      "Channels of the hidden state cannot be taken out of this model: \(reason). Cut heads, neurons or layers instead."
    case .residualHeadsInvalid(let reason):
      "Cut heads cannot be added back: \(reason). Leave `residualHeads` out."
    case .biasesNotExportable(let modelType, let tensor):
      "The map of \"\(tensor)\" was given a bias, and a configuration of the type \"\(modelType)\" has no place for it. "
        + "Prune without a compensator that adds biases (`plugin/describe`: changesBias), or export another revision."
    case .maskFileMismatch(let path, let reason):
      "The mask file \(path) does not fit the model: \(reason). No mask was changed."
    case .statisticsForgotten(let tensor, let limits):
      "The statistics of the inputs of \"\(tensor)\" were computed and are lost: \(limits). Ask again to have them computed "
        + "anew; if that does not help, free disk space, set ESPALIER_CACHE_DIR to a folder with more, or ask for fewer "
        + "tensors at a time with `modules`."
    case .statisticsTooLarge(let needed, let limits):
      "The statistics of all these inputs would take \(needed >> 20) MiB together, and \(limits). Go layer by layer "
        + "(`sequential`), or ask for fewer tensors at a time with `modules`."
    case .memoryInsufficient(let purpose, let needed, let available):
      "\(purpose) would take \(needed >> 20) MiB, and \(available >> 20) MiB are available. Free memory (see "
        + "importance/discard and model/unload), or ask for less at a time: fewer or shorter sequences, smaller batches, fewer "
        + "tensors."
    }
  }
}
