// Learning rates: against transformers' schedules, against the formulas, and numbers that make no schedule.

import Compression
import Testing

@Suite struct ScheduleTests {
  /// Steps 0, inside the warm-up, its end, the middle, the last step and the end of 20 steps with 4 of warm-up at a peak
  /// of 1: what transformers 5.23.0 multiplies the rate with. Printed by
  ///
  ///     from transformers import optimization as o; import torch
  ///     p = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
  ///     for s in (o.get_constant_schedule_with_warmup(p, 4), o.get_linear_schedule_with_warmup(p, 4, 20),
  ///               o.get_cosine_schedule_with_warmup(p, 4, 20),
  ///               o.get_cosine_with_min_lr_schedule_with_warmup(p, 4, 20, min_lr_rate=0.1),
  ///               o.get_wsd_schedule(p, 4, 6, num_training_steps=20, decay_type="1-sqrt")):
  ///         print([s.lr_lambdas[0](step) for step in (0, 1, 3, 4, 12, 15, 19, 20)])
  static let steps = [0, 1, 3, 4, 12, 15, 19, 20]
  static let goldens: [(Schedule.Shape, minimum: Double, rates: [Double])] = [
    (.constant, 0, [0.0, 0.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]),
    (.linear, 0, [0.0, 0.25, 0.75, 1.0, 0.5, 0.3125, 0.0625, 0.0]),
    (.cosine, 0, [0.0, 0.25, 0.75, 1.0, 0.5, 0.22221488349019902, 0.009607359798384785, 0.0]),
    (.cosine, 0.1, [0.0, 0.25, 0.75, 1.0, 0.55, 0.2999933951411791, 0.10864662381854631, 0.1]),
    (.warmupStableDecay(decaySteps: 6), 0, [0.0, 0.25, 0.75, 1.0, 1.0, 0.591751709536137, 0.0871290708247231, 0.0]),
  ]

  @Test(arguments: goldens)
  func agreesWithTransformers(shape: Schedule.Shape, minimum: Double, rates: [Double]) throws {
    let schedule = try Schedule(shape, learningRate: 1, steps: 20, warmupSteps: 4, minimum: minimum)
    for (step, rate) in zip(Self.steps, rates) {
      #expect(abs(schedule.rate(atStep: step) - rate) < 1e-15, "step \(step)")
    }
    let small = try Schedule(shape, learningRate: 3e-4, steps: 20, warmupSteps: 4, minimum: minimum)
    for (step, rate) in zip(Self.steps, rates) { #expect(abs(small.rate(atStep: step) - 3e-4 * rate) < 1e-18) }
  }

  /// linear: m + (1 - m)(1 - p); stable: 1 until the decay, then m + (1 - m)(1 - sqrt p).
  @Test func formulas() throws {
    let linear = try Schedule(.linear, learningRate: 2, steps: 10, minimum: 0.5)
    for step in 0...10 {
      let expected = 2 - Double(step) / 10
      #expect(abs(linear.rate(atStep: step) - expected) < 1e-15)
    }
    let stable = try Schedule(
      .warmupStableDecay(decaySteps: 4), learningRate: 1, steps: 12, warmupSteps: 2, minimum: 0.2)
    #expect((2...8).allSatisfy { stable.rate(atStep: $0) == 1 })
    #expect(abs(stable.rate(atStep: 9) - 0.6) < 1e-15)  // 0.2 + 0.8 (1 - sqrt(1/4))
    #expect(stable.rate(atStep: 12) == 0.2)
  }

  @Test(arguments: [
    Schedule.Shape.constant, .linear, .cosine, .warmupStableDecay(decaySteps: 0), .warmupStableDecay(decaySteps: 5),
  ])
  func edges(shape: Schedule.Shape) throws {
    let schedule = try Schedule(shape, learningRate: 1, steps: 10, warmupSteps: 3, minimum: 0.25)
    #expect(schedule.rate(atStep: 0) == 0)
    #expect(schedule.rate(atStep: 3) == 1)
    for step in 0...40 { #expect((0...1).contains(schedule.rate(atStep: step))) }
    for step in 3..<40 { #expect(schedule.rate(atStep: step + 1) <= schedule.rate(atStep: step)) }
    #expect(schedule.rate(atStep: 40) == schedule.rate(atStep: 10))
    let cold = try Schedule(shape, learningRate: 1, steps: 10)
    #expect(cold.rate(atStep: 0) == 1)
    let onlyWarm = try Schedule(
      { if case .warmupStableDecay = shape { .warmupStableDecay(decaySteps: 0) } else { shape } }(), learningRate: 1,
      steps: 10, warmupSteps: 10)
    #expect(onlyWarm.rate(atStep: 5) == 0.5 && onlyWarm.rate(atStep: 10) == 1)
  }

  @Test(arguments: [
    (Schedule.Shape.linear, -1.0, 10, 0, 0.0), (.linear, .nan, 10, 0, 0), (.linear, .infinity, 10, 0, 0),
    (.linear, 1, 0, 0, 0), (.linear, 1, 10, 11, 0), (.linear, 1, 10, -1, 0), (.cosine, 1, 10, 0, 1.5),
    (.cosine, 1, 10, 0, .nan), (.warmupStableDecay(decaySteps: 8), 1, 10, 3, 0),
    (.warmupStableDecay(decaySteps: -1), 1, 10, 3, 0),
  ])
  func refused(shape: Schedule.Shape, learningRate: Double, steps: Int, warmupSteps: Int, minimum: Double) {
    let error = #expect(throws: TrainingError.self) {
      try Schedule(
        shape, learningRate: learningRate, steps: steps, warmupSteps: warmupSteps, minimum: minimum)
    }
    #expect(error?.kind == "scheduleInvalid")
  }
}
