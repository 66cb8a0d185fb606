// From the parameters of distill/start to a plan: objectives with every default filled in, a teacher, a schedule.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import PluginHost
import Tensors
import Transformers
import WireTypes
import Workspace

/// Who learns from whom.
struct RunModels {
  let student: LoadedModel
  let studentState: ModelState
  let teacher: LoadedModel
  let teacherState: ModelState

  /// The share of the teacher's weights that the student has, pruned ones left out.
  var kept: Double {
    let (small, large) = (studentState.revision, teacherState.revision)
    return Double(small.parameterCount - small.prunedCount) / Double(max(1, large.parameterCount - large.prunedCount))
  }

  /// The entries that both have.
  var smallerVocabulary: Int {
    min(student.transformer.shape.vocabularySize, teacher.transformer.shape.vocabularySize)
  }

  /// The entries that both mean the same by; all of them if one came out of the other. Else both vocabularies are gone
  /// through, which is work for a lane.
  /// - Throws: `TrainingError.vocabulariesDiffer`.
  var vocabulary: Int {
    get throws {
      let sizes = (student.transformer.shape.vocabularySize, teacher.transformer.shape.vocabularySize)
      if student === teacher || student.shrunkFrom?.model == teacher.name { return smallerVocabulary }
      let shared = sharedVocabulary(
        teacher: teacher.checkpoint.tokenizer, teacherSize: sizes.1, student: student.checkpoint.tokenizer,
        studentSize: sizes.0)
      switch shared {
      case .same(let size): return size
      case .different(let reason): throw TrainingError.vocabulariesDiffer(reason: reason)
      }
    }
  }

  var originalLayers: [Int]? { Transformers.originalLayers(of: student.checkpoint.configuration) }
}

extension ServerContext {
  /// The models of a request. Without a teacher the student learns from what it was: its own first revision, or that of
  /// the model that it was shrunk from.
  func runModels(_ params: DistillStart.Params) throws -> RunModels {
    let student = try model(params.student.model)
    let state = try student.state(params.student.revision)
    if let param = params.teacher {
      let teacher = try model(param.model)
      return RunModels(
        student: student, studentState: state, teacher: teacher, teacherState: try teacher.state(param.revision))
    }
    if let origin = student.shrunkFrom, let teacher = models.value(origin.model) {
      return RunModels(
        student: student, studentState: state, teacher: teacher, teacherState: try teacher.state("r0"))
    }
    return RunModels(student: student, studentState: state, teacher: student, teacherState: try student.state("r0"))
  }

  /// What is taught, and why if nobody said so. Its vocabulary is what both have; `RunWork.make` finds what they share.
  func lossPlan(_ params: DistillStart.Params, _ models: RunModels) throws -> (LossPlan, Recipe?) {
    var plan = LossPlan(
      objectives: [], balance: params.balance.flatMap(LossBalance.init) ?? .fixed, vocabulary: models.smallerVocabulary)
    plan.policy = try params.policy.map(policyPlan)
    guard let objectives = params.objectives else {
      if plan.policy != nil { return (plan, nil) }
      let recipe = Recipe(
        student: models.student.transformer, teacher: models.teacher.transformer,
        originalLayers: models.originalLayers, kept: models.kept)
      plan.objectives = [ObjectiveTerm(try objective(MethodParam(plugin: recipe.objective)))]
      plan.features = try recipe.features.map { feature in
        FeatureTerm(
          try featureObjective(MethodParam(plugin: feature.plugin)), place: feature.place,
          pairs: feature.pairs)
      }
      if params.balance == nil { plan.balance = recipe.balance }
      return (plan, recipe)
    }
    for param in objectives {
      if try plugins.describe(id: param.method.plugin).offers(.featureObjective) {
        plan.features.append(try featureTerm(param, models))
      } else {
        plan.objectives.append(try objectiveTerm(param))
      }
    }
    return (plan, nil)
  }

  private func policyPlan(_ param: PolicyParam) throws -> PolicyPlan {
    var plan = PolicyPlan(rewards: try rewards(param.rewards))
    plan.prompts = param.prompts
    plan.members = param.completions
    plan.maximumTokens = param.maxTokens
    plan.skipsTruncated = param.skipTruncated
    plan.iterations = param.iterations
    plan.advantages.scaling = AdvantageScaling(rawValue: param.scaling) ?? .group
    plan.advantages.combination = RewardCombination(rawValue: param.combination) ?? .sum
    plan.advantages.dropsDegenerateGroups = param.dropEqualPrompts
    plan.normalisation = PolicyNormalisation(rawValue: param.normalisation) ?? .dapo
    plan.options.clip = param.clip
    plan.options.clipHigh = param.clipHigh
    plan.options.divergenceWeight = param.divergenceWeight
    plan.options.estimator = DivergenceEstimator(rawValue: param.estimator) ?? .k3
    plan.options.correctsBias = param.correctBias
    plan.options.temperature = param.temperature
    if param.teacherWeight > 0 {
      plan.teacherTerm = TeacherTerm(weight: param.teacherWeight, discount: param.teacherDiscount)
    }
    return plan
  }

  private func objectiveTerm(_ param: ObjectiveParam) throws -> ObjectiveTerm {
    let objective = try objective(param.method)
    if param.place != nil || param.layers != nil {
      throw JSONFieldError(
        .outOfRange, path: param.path,
        expected: "no place and no layers: \"\(param.method.plugin)\" is a loss on logits",
        given: .string(param.method.plugin))
    }
    if objective.method.description.fixedTemperature, let temperature = param.temperature, temperature != 1 {
      throw JSONFieldError(
        .outOfRange, path: "\(param.path).temperature",
        expected: "1, as \"\(param.method.plugin)\" is defined there only", given: JSON(temperature))
    }
    return ObjectiveTerm(
      objective, weight: param.weight, temperature: param.temperature ?? 1,
      squaresTemperature: param.squaresTemperature ?? true)
  }

  private func featureTerm(_ param: ObjectiveParam, _ models: RunModels) throws -> FeatureTerm {
    if param.temperature != nil || param.squaresTemperature != nil {
      throw JSONFieldError(
        .outOfRange, path: "\(param.path).temperature",
        expected: "nothing: \"\(param.method.plugin)\" is no loss on logits", given: JSON(param.temperature ?? 1))
    }
    let place = param.place.flatMap(FeaturePlace.init) ?? .output
    let pairs = param.layers.map { $0.map { LayerPair(student: $0.student, teacher: $0.teacher) } }
    return FeatureTerm(
      try featureObjective(param.method), weight: param.weight, place: place,
      pairs: pairs
        ?? LossPlan.pairs(
          place, student: models.student.transformer, teacher: models.teacher.transformer,
          originalLayers: models.originalLayers))
  }
}

extension RunOptions {
  /// - Throws: `TrainingError.scheduleInvalid`.
  init(_ params: DistillStart.Params, dataset: Dataset) throws {
    let schedule = params.schedule, steps = params.steps
    let warmup = schedule.warmupSteps ?? steps / 20
    let shape: Schedule.Shape =
      switch schedule.shape {
      case "constant": .constant
      case "linear": .linear
      case "warmup-stable-decay": .warmupStableDecay(decaySteps: schedule.decaySteps ?? (steps - warmup) / 5)
      default: .cosine
      }
    // About 2048 tokens at once keep products fast; 4096 a step.
    let batch = params.batch ?? max(1, min(dataset.sequences, 2048 / dataset.sequenceLength))
    self.init(
      schedule: try Schedule(
        shape, learningRate: schedule.learningRate, steps: steps, warmupSteps: warmup, minimum: schedule.minimum),
      batch: batch, accumulation: params.accumulation ?? (params.batch == nil ? 2 : 1), seed: UInt64(params.seed))
    isShuffled = params.shuffle
    teacherMemory = TeacherMemory(rawValue: params.teacherCache) ?? .fp32
    explosion = params.explosion > 0 ? params.explosion : nil
    onPolicy = params.onPolicy.map {
      OnPolicy(
        fraction: $0.fraction, promptTokens: $0.promptTokens, maximumTokens: $0.maxTokens,
        temperature: $0.temperature,
        adaptation: $0.adaptive.map { .init(rise: $0.rise, tolerance: $0.tolerance, memory: $0.memory) })
    }
    training.precision = Precision(rawValue: params.precision) ?? .fp32
    training.activationBudget = params.activationBytes
    training.optimizer.beta1 = params.optimizer.beta1
    training.optimizer.beta2 = params.optimizer.beta2
    training.optimizer.epsilon = params.optimizer.epsilon
    training.optimizer.weightDecay = params.optimizer.weightDecay
    training.optimizer.maximumNorm = params.optimizer.maximumNorm > 0 ? params.optimizer.maximumNorm : nil
  }
}
