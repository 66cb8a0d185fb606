// The methods that a library offers: at most one of each kind, each behind an extension.

import CPluginABI
package import Compression

/// A method of a plugin, as the plugin describes it.
package enum PluginMethod: Sendable, Equatable {
  case selector(SelectorDescription)
  case unitSelector(UnitSelectorDescription)
  case solver(SolverDescription)
  case compensator(CompensatorDescription)
  case blockCompensator(MethodDescription)
  case refiner(MethodDescription)
  case allocator(AllocatorDescription)
  case objective(ObjectiveDescription)
  case featureObjective(FeatureObjectiveDescription)
  case reward(RewardDescription)

  package var kind: MethodKind {
    switch self {
    case .selector: .selector
    case .unitSelector: .unitSelector
    case .solver: .solver
    case .compensator: .compensator
    case .blockCompensator: .blockCompensator
    case .refiner: .refiner
    case .allocator: .allocator
    case .objective: .objective
    case .featureObjective: .featureObjective
    case .reward: .reward
    }
  }

  package var description: MethodDescription {
    switch self {
    case .selector(let description): description.method
    case .unitSelector(let description): description.method
    case .solver(let description): description.method
    case .compensator(let description): description.method
    case .blockCompensator(let description), .refiner(let description): description
    case .allocator(let description): description.method
    case .objective(let description): description.method
    case .featureObjective(let description): description.method
    case .reward(let description): description.method
    }
  }

  /// The comparison group of the method as published; nil for kinds that compare nothing.
  package var defaultGroup: MaskGroup? {
    switch self {
    case .selector(let description): description.defaultGroup
    case .unitSelector(let description): description.defaultGroup
    case .solver(let description): description.defaultGroup
    case .compensator, .blockCompensator, .refiner, .allocator, .objective, .featureObjective, .reward: nil
    }
  }
}

/// The tables behind a library's methods.
struct PluginOffers: Sendable {
  let selector: SelectorOffer?
  let unitSelector: UnitSelectorOffer?
  let solver: SolverOffer?
  let compensator: CompensatorOffer?
  let blockCompensator: BlockCompensatorOffer?
  let refiner: RefinerOffer?
  let allocator: AllocatorOffer?
  let objective: ObjectiveOffer?
  let featureObjective: FeatureObjectiveOffer?
  let reward: RewardOffer?

  typealias GetExtension = @convention(c) (UnsafePointer<CChar>?) -> UnsafeRawPointer?

  /// Asks for every extension that this host knows.
  /// - Throws: `structSize`, `fieldInvalid`; `nothingOffered`.
  init(of identity: PluginIdentity, _ getExtension: GetExtension) throws(PluginRejection) {
    func offer<Offer>(
      _ kind: MethodKind, _ make: (UnsafeRawPointer, PluginIdentity) throws(PluginRejection) -> Offer
    ) throws(PluginRejection) -> Offer? {
      guard let table = getExtension(kind.extensionID) else { return nil }
      return try make(table, identity)
    }
    selector = try offer(.selector, SelectorOffer.init)
    unitSelector = try offer(.unitSelector, UnitSelectorOffer.init)
    solver = try offer(.solver, SolverOffer.init)
    compensator = try offer(.compensator, CompensatorOffer.init)
    blockCompensator = try offer(.blockCompensator, BlockCompensatorOffer.init)
    refiner = try offer(.refiner, RefinerOffer.init)
    allocator = try offer(.allocator, AllocatorOffer.init)
    objective = try offer(.objective, ObjectiveOffer.init)
    featureObjective = try offer(.featureObjective, FeatureObjectiveOffer.init)
    reward = try offer(.reward, RewardOffer.init)
    guard !methods.isEmpty else { throw .nothingOffered(known: MethodKind.allCases.map(\.extensionID)) }
  }

  /// In the order of `MethodKind`.
  var methods: [PluginMethod] {
    [
      (selector?.description).map(PluginMethod.selector),
      (unitSelector?.description).map(PluginMethod.unitSelector),
      (solver?.description).map(PluginMethod.solver),
      (compensator?.description).map(PluginMethod.compensator),
      (blockCompensator?.description).map(PluginMethod.blockCompensator),
      (refiner?.description).map(PluginMethod.refiner),
      (allocator?.description).map(PluginMethod.allocator),
      (objective?.description).map(PluginMethod.objective),
      (featureObjective?.description).map(PluginMethod.featureObjective),
      (reward?.description).map(PluginMethod.reward),
    ].compactMap(\.self)
  }
}

extension MethodKind {
  /// The extension that has methods of this kind.
  var extensionID: String {
    switch self {
    case .selector: ESPALIER_SELECTOR
    case .unitSelector: ESPALIER_UNIT_SELECTOR
    case .solver: ESPALIER_SOLVER
    case .compensator: ESPALIER_COMPENSATOR
    case .blockCompensator: ESPALIER_BLOCK_COMPENSATOR
    case .refiner: ESPALIER_REFINER
    case .allocator: ESPALIER_ALLOCATOR
    case .objective: ESPALIER_OBJECTIVE
    case .featureObjective: ESPALIER_FEATURE_OBJECTIVE
    case .reward: ESPALIER_REWARD
    }
  }
}
