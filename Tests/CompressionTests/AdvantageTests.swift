// Advantages against numpy; groups that say nothing; rewards that are none.

import Compression
import TestSupport
import Testing

@Suite struct AdvantageTests {
  static func golden() throws -> (rewards: [[[Double]]], weights: [Double], golden: Golden) {
    let golden = try PolicyGolden()
    return (try golden.cube("advantages.rewards"), try golden.values("advantages.weights"), golden.golden)
  }

  static func flat(_ advantages: Advantages) -> Numbers {
    Numbers(advantages.values.flatMap { $0 }, shape: [advantages.values.count, advantages.values[0].count])
  }

  @Test(arguments: AdvantageScaling.allCases)
  func agreeWithNumpy(scaling: AdvantageScaling) throws {
    let (rewards, weights, golden) = try Self.golden()
    var options = AdvantageOptions()
    options.scaling = scaling
    let advantages = try Advantages(rewards, weights: weights, options: options)
    let tolerance = Tolerance(absolute: 1e-13, relative: 1e-12), name = "advantages.\(scaling.rawValue)"
    #expect(try golden.difference(Self.flat(advantages), from: name, tolerance) == nil)
    #expect(advantages.degenerateGroups == 1 && advantages.droppedGroups == 0 && advantages.groups == Array(0..<6))
    #expect(advantages.values[1] == [0, 0, 0, 0])
    // A test of the test: other weights show.
    let other = try Advantages(rewards, weights: [1, -0.36], options: options)
    #expect(try golden.difference(Self.flat(other), from: name, tolerance) != nil)
  }

  @Test func eachNormalisedByItself() throws {
    let (rewards, weights, golden) = try Self.golden()
    var options = AdvantageOptions()
    options.combination = .normalisedSum
    let advantages = try Advantages(rewards, weights: weights, options: options)
    #expect(
      try golden.difference(
        Self.flat(advantages), from: "advantages.normalised-sum", Tolerance(absolute: 1e-13, relative: 1e-12)) == nil)
  }

  @Test func degenerateGroupsAreLeftOut() throws {
    let (rewards, weights, golden) = try Self.golden()
    var options = AdvantageOptions()
    options.dropsDegenerateGroups = true
    let advantages = try Advantages(rewards, weights: weights, options: options)
    #expect(advantages.groups == [0, 2, 3, 4, 5] && advantages.droppedGroups == 1)
    #expect(advantages.rewards.count == 6)
    let whole = try golden.numbers("advantages.group").values
    let expected = Numbers(Array(whole[..<4] + whole[8...]), shape: [5, 4])
    #expect(difference(Self.flat(advantages), expected, Tolerance(absolute: 1e-13, relative: 1e-12)) == nil)
    // The deviation of the step is that of the groups that stay.
    options.scaling = .batch
    let less = try Advantages(rewards, weights: weights, options: options)
    options.dropsDegenerateGroups = false
    let all = try Advantages(rewards, weights: weights, options: options)
    #expect(less.values[0] != all.values[0])
    // Where nothing would be left, all stay.
    options.dropsDegenerateGroups = true
    let none = try Advantages([[[1, 1], [0.3, 0.3]]], weights: [2], options: options)
    #expect(none.values == [[0, 0], [0, 0]] && none.droppedGroups == 0 && none.degenerateGroups == 2)
    #expect(none.rewards == [[2, 2], [0.6, 0.6]])
  }

  /// Equal rewards give exactly 0, also when their mean is rounded; one member has nobody to be compared with.
  @Test func flatGroups() throws {
    for scaling in AdvantageScaling.allCases {
      var options = AdvantageOptions()
      options.scaling = scaling
      let advantages = try Advantages([[[0.1, 0.1, 0.1], [1, 0, 0]]], weights: [1], options: options)
      #expect(advantages.values[0] == [0, 0, 0] && advantages.degenerateGroups == 1)
      #expect(advantages.values[1][0] > 0)
      #expect(try Advantages([[[3]]], weights: [1], options: options).values == [[0]])
    }
    // A reward without weight does not make groups differ.
    #expect(try Advantages([[[1, 1]], [[0, 1]]], weights: [1, 0]).degenerateGroups == 1)
  }

  static let wrong: [([[[Double]]], [Double])] = [
    ([], []), ([[[1]]], []), ([[]], [1]), ([[[]]], [1]), ([[[1, 2], [1]]], [1]), ([[[1, 2]], [[1]]], [1, 1]),
    ([[[1, .nan]]], [1]), ([[[1, .infinity]]], [1]), ([[[1, 2]]], [.nan]), ([[[1e308, 1]]], [1e10]),
  ]

  @Test(arguments: wrong)
  func rewardsThatAreNone(rewards: [[[Double]]], weights: [Double]) {
    let error = #expect(throws: PolicyError.self) { try Advantages(rewards, weights: weights) }
    #expect(error?.kind == "rewardsInvalid")
  }
}
