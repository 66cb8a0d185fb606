// The built-in model learns sums from rewards alone, once it has seen a few.

import BuiltinModels
import Checkpoints
import Compression
import Glibc
import TestSupport
import Testing

@Suite struct RewardLearningTests {
  @Test func measure() throws {
    guard getenv("ESPALIER_MEASURE") != nil else { return }
    func number(_ name: String, _ standard: Double) -> Double { getenv(name).flatMap { Double(String(cString: $0)) } ?? standard }
    let model = try RewardedModel(TestModel(path: try #require(BuiltinModels.path(ofModel: "sapling"))))
    let task = try ArithmeticTask(digits: Int(number("DIGITS", 1)))
    let all = try task.examples(count: task.available, seed: 1)
    print(try all.prefix(5).map { ($0, try model.tokenizer.encode($0.prompt), try model.tokenizer.encode($0.answer)) })
    let start = clock()
    func seconds() -> Double { Double(clock() - start) / Double(CLOCKS_PER_SEC) / 2 }
    let warm = Int(number("WARM", 60)), size = Int(number("BATCH", 32))
    for step in 0..<warm {
      let batch = (0..<size).map { all[(step * size + $0) % all.count] }
      let loss = try model.imitate(batch, learningRate: number("RATE1", 1e-3))
      if step % 10 == 9 { print("warm", step + 1, loss, seconds()) }
    }
    let sampler = try GroupSampler(
      members: Int(number("MEMBERS", 8)), maximumTokens: 4, seed: 3, endTokens: model.tokenizer.endTokens)
    let count = Int(number("PROMPTS", 16))
    let prompts = Array(try model.prompts(all).prefix(Int(number("POOL", 100))))
    for step in 0..<Int(number("STEPS", 40)) {
      let batch = (0..<count).map { prompts[(step * count + $0) % prompts.count] }
      let (reward, metrics, degenerate) = try model.explore(
        batch, sampler: sampler, rewards: [.exact], learningRate: number("RATE2", 3e-4))
      print("step", step, reward, metrics.meanEntropy, degenerate, metrics.tokens, seconds())
    }
  }
}
