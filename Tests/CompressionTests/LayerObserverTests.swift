// What an observer collects of a layer, against plain loops; and what it takes.

import Compression
import Tensors
import TestSupport
import Testing
@testable import Transformers

@Suite struct LayerObserverTests {
  /// Two batches of one input with their inputs before pruning.
  @Test func crossProductsAreThoseOfPlainLoops() throws {
    let inputs = try TestModel(tiny: "grouped-f32").transformer.linearInputs(layer: 0)
    let observer = try LayerObserver(inputs, need: .crossGram, compute: try Engine.compute)
    var random = Seeded(11)
    let n = inputs[1].columns
    var expected = [Double](repeating: 0, count: n * n), seen: [Matrix] = []
    for sequences in [1, 3] {
      let rows = 5 * sequences, x = random.floats(rows * n), z = random.floats(rows * n)
      observer.observeDense(inputs[1], z, rows: rows)
      observer.observe(inputs[1], x, rows: rows, sequences: sequences)
      for sequence in 0..<sequences {
        var matrix = Matrix(rows: 5, columns: n)
        matrix.values = x[sequence * 5 * n..<(sequence + 1) * 5 * n].map(Double.init)
        seen.append(matrix)
      }
      for row in 0..<rows {
        for i in 0..<n { for j in 0..<n { expected[i * n + j] += Double(z[row * n + i]) * Double(x[row * n + j]) } }
      }
    }
    let statistics = observer.finish()
    #expect(statistics.count == inputs.count)
    let found = statistics[1], gram = try #require(found.gram)
    #expect(difference(try #require(found.moments), naiveMoments(seen)) == nil)
    let tolerance = Tolerance(absolute: 1e-5, relative: 1e-5)
    let products = Numbers(naiveGram(seen), dtype: .f32)
    #expect(difference(Numbers(gram.products.readOnly), products, tolerance) == nil)
    let cross = try #require(gram.cross)
    #expect(difference(Numbers(cross.readOnly), Numbers(expected, dtype: .f32), tolerance) == nil)
    #expect(difference(Numbers(cross.readOnly), products, tolerance) != nil)
    #expect(gram.sequences == 4 && gram.tokens == 20)
    #expect(statistics[0].moments?.tokens == 0)
  }

  @Test func onlyWhatIsNeeded() throws {
    let inputs = try TestModel(tiny: "grouped-f32").transformer.linearInputs(layer: 0)
    for (need, hasGram, hasCross) in [
      (StatisticsNeed.moments, false, false), (.gram, true, false), (.crossGram, true, true), (.none, false, false),
    ] {
      let statistics = try LayerObserver(inputs, need: need, compute: try Engine.compute).finish()
      #expect(statistics.allSatisfy { $0.moments != nil && ($0.gram != nil) == hasGram })
      #expect(statistics.allSatisfy { ($0.gram?.cross != nil) == hasCross })
    }
  }

  /// Where there is no memory for a total, there is an error that says how much there would have to be.
  @Test func memoryThatThereIsNot() throws {
    let wide = LinearInput(layer: 0, site: "mlp", tensors: ["wide"], columns: 1 << 25)
    for need in [StatisticsNeed.gram, .crossGram] {
      let error = #expect(throws: CompressionError.self) {
        _ = try LayerObserver([wide], need: need, compute: Engine.compute)
      }
      guard case .memoryInsufficient(_, let needed, let available) = error else {
        Issue.record("\(error.map { "\($0)" } ?? "no error")")
        continue
      }
      #expect(needed > 1 << 51 && available < needed)
    }
  }
}
