// Group-relative advantages: how much better a completion is than others of the same prompt. (Shao et al. 2024,
// DeepSeekMath, arXiv 2402.03300, section 4.1.1; conventions of TRL's GRPOTrainer)

/// What a reward's distance from its group's mean is divided by.
package enum AdvantageScaling: String, Sendable, CaseIterable {
  /// The group's standard deviation + 1e-4.
  case group
  /// The standard deviation of all rewards of the step + 1e-4. (Liu et al. 2025, Lite PPO, arXiv 2508.08221)
  case batch
  /// Nothing. (Liu et al. 2025, Dr. GRPO, arXiv 2503.20783, section 3.2)
  case none
}

/// How several rewards become one.
package enum RewardCombination: String, Sendable, CaseIterable {
  /// r = sum of w r; advantages are those of r.
  case sum
  /// Each reward is normalised in its group, (r - mean) / (deviation + 1e-4); the advantage is their weighted sum,
  /// normalised over the whole step. The scaling has no say. (Liu et al. 2026, GDPO, arXiv 2601.05242)
  case normalisedSum = "normalised-sum"
}

package struct AdvantageOptions: Sendable, Equatable {
  package var scaling = AdvantageScaling.group
  package var combination = RewardCombination.sum
  /// Leaves groups out whose rewards are all the same: they say nothing, and only count in means. If all groups are like
  /// that, all stay, with advantages of 0: a step has something to divide by. (Yu et al. 2025, DAPO, arXiv 2503.14476,
  /// section 3.2; without drawing more in their place)
  package var dropsDegenerateGroups = false

  package init() {}
}

/// The advantages of a step's completions. Deviations are those of samples (divided by n - 1); of one value, 0.
package struct Advantages: Sendable, Equatable {
  /// The weighted sum of the rewards, by group and member, also of groups that are left out.
  package let rewards: [[Double]]
  /// By group and member, of `groups` only.
  package let values: [[Double]]
  /// Which groups of those given `values` are of, in order.
  package let groups: [Int]
  /// Groups whose members all have the same rewards: their advantage is 0.
  package let degenerateGroups: Int
  /// Groups that were left out for that reason.
  package let droppedGroups: Int

  /// What keeps the division by a deviation finite. (TRL)
  private static let smallest = 1e-4

  /// - Parameters:
  ///   - rewards: for each reward its finite values by group and member; every group has as many members in all.
  ///   - weights: of the rewards.
  /// - Throws: `PolicyError.rewardsInvalid` for shapes or numbers that are none.
  package init(
    _ rewards: [[[Double]]], weights: [Double], options: AdvantageOptions = AdvantageOptions()
  ) throws(PolicyError) {
    try Self.check(rewards, weights)
    let shape = rewards[0].map(\.count)
    var sums = shape.map { [Double](repeating: 0, count: $0) }
    for (reward, weight) in zip(rewards, weights) {
      for (group, values) in reward.enumerated() {
        for (member, value) in values.enumerated() { sums[group][member] += weight * value }
      }
    }
    guard sums.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
      throw .rewardsInvalid(reason: "their weighted sum is beyond what a double holds")
    }
    let isFlat = shape.indices.map { group in
      zip(rewards, weights).allSatisfy { reward, weight in
        weight == 0 || reward[group].allSatisfy { $0 == reward[group][0] }
      }
    }
    let drops = options.dropsDegenerateGroups && isFlat.contains(false)
    let kept = shape.indices.filter { !(drops && isFlat[$0]) }
    self.rewards = sums
    groups = kept
    degenerateGroups = isFlat.count { $0 }
    droppedGroups = shape.count - kept.count
    let values =
      switch options.combination {
      case .sum: Self.relative(kept.map { sums[$0] }, options.scaling)
      case .normalisedSum: Self.normalised(rewards.map { reward in kept.map { reward[$0] } }, weights)
      }
    self.values = zip(kept, values).map { group, values in
      // Equal rewards whose mean was rounded are still equal.
      isFlat[group] && options.combination == .sum ? values.map { _ in 0 } : values
    }
  }

  private static func check(_ rewards: [[[Double]]], _ weights: [Double]) throws(PolicyError) {
    guard let first = rewards.first, rewards.count == weights.count, weights.allSatisfy(\.isFinite) else {
      throw .rewardsInvalid(
        reason: "\(rewards.count) rewards have \(weights.count) weights; expected one finite weight for each, "
          + "and one reward at least")
    }
    let members = first.first?.count ?? 0
    for reward in rewards {
      guard reward.count == first.count, members >= 1, reward.allSatisfy({ $0.count == members }) else {
        throw .rewardsInvalid(reason: "groups differ in size, or there are none")
      }
      guard reward.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
        throw .rewardsInvalid(reason: "one of them is not finite")
      }
    }
  }

  /// (r - the group's mean) / what `scaling` says.
  private static func relative(_ groups: [[Double]], _ scaling: AdvantageScaling) -> [[Double]] {
    let all = scaling == .batch ? Moments(groups.flatMap { $0 }).deviation : 0
    return groups.map { group in
      let moments = Moments(group)
      let divisor =
        switch scaling {
        case .group: moments.deviation + smallest
        case .batch: all + smallest
        case .none: 1.0
        }
      return group.map { ($0 - moments.mean) / divisor }
    }
  }

  private static func normalised(_ rewards: [[[Double]]], _ weights: [Double]) -> [[Double]] {
    var sums = (rewards.first ?? []).map { [Double](repeating: 0, count: $0.count) }
    for (reward, weight) in zip(rewards, weights) {
      for (group, values) in relative(reward, .group).enumerated() {
        let isFlat = reward[group].allSatisfy { $0 == reward[group][0] }
        for (member, value) in values.enumerated() where !isFlat { sums[group][member] += weight * value }
      }
    }
    let moments = Moments(sums.flatMap { $0 })
    return sums.map { $0.map { ($0 - moments.mean) / (moments.deviation + smallest) } }
  }

  /// Mean and deviation of a sample, in two passes.
  private struct Moments {
    let mean: Double
    let deviation: Double

    init(_ values: [Double]) {
      let count = Double(values.count)
      let mean = values.reduce(0, +) / max(1, count)
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      self.mean = mean
      deviation = count > 1 ? (squares / (count - 1)).squareRoot() : 0
    }
  }
}
