// What is collected of one layer's linear inputs as they pass by: moments, Gram matrices, cross products.

package import Tensors
package import Transformers

/// Adds up the statistics of one layer's linear inputs. Moments are always collected. Used by one thread at a time.
package final class LayerObserver {
  private struct Site {
    var moments: Moments
    var gram: GramTotal?
    var cross: GramTotal?
    /// The rows of the model before pruning that wait for those of the pruned one.
    var dense = FloatBuffer(count: 0)
    var denseRows = 0
  }

  private let inputs: [LinearInput]
  private let compute: Compute
  private var sites: [Site]

  /// - Parameter need: `gram` and `crossGram` are looked for; the latter brings the former along.
  /// - Throws: `CompressionError.memoryInsufficient`.
  package init(_ inputs: [LinearInput], need: StatisticsNeed, compute: Compute) throws(CompressionError) {
    self.inputs = inputs
    self.compute = compute
    sites = []
    for input in inputs {
      let gram = need.containsGram ? try Self.total(of: input, isSymmetric: true) : nil
      let cross = need.contains(.crossGram) ? try Self.total(of: input, isSymmetric: false) : nil
      sites.append(Site(moments: Moments(inputs: input.columns), gram: gram, cross: cross))
    }
  }

  private static func total(of input: LinearInput, isSymmetric: Bool) throws(CompressionError) -> GramTotal {
    if let total = GramTotal(columns: input.columns, isSymmetric: isSymmetric) { return total }
    throw .memoryInsufficient(
      purpose: "A Gram matrix of \(input.columns) inputs",
      needed: GramTotal.bytes(columns: input.columns, isSymmetric: isSymmetric),
      available: availableMemoryBytes() ?? 0)
  }

  /// Bytes that observing `inputs` takes, and its results with it, for the need and up to `rows` rows at a time.
  package static func bytes(_ inputs: [LinearInput], need: StatisticsNeed, rows: Int) -> Int {
    inputs.reduce(0) { sum, input in
      let n = input.columns, finished = 4 * n * n
      let gram = need.containsGram ? GramTotal.bytes(columns: n, isSymmetric: true) + finished : 0
      let cross =
        need.contains(.crossGram) ? GramTotal.bytes(columns: n, isSymmetric: false) + finished + 4 * rows * n : 0
      return sum + gram + cross + 64 * n
    }
  }

  /// The same rows of the same input in the model before pruning, for cross products: given before `observe` of these
  /// rows, and copied. Ignored unless cross products were asked for.
  /// - Parameter activations: `[rows, input.columns]`.
  package func observeDense(_ input: LinearInput, _ activations: UnsafePointer<Float>, rows: Int) {
    guard let index = inputs.firstIndex(of: input), sites[index].cross != nil else { return }
    precondition(sites[index].denseRows == 0, "rows of \(input.site) before those before them were observed")
    let count = rows * input.columns
    if sites[index].dense.count < count { sites[index].dense = FloatBuffer(count: count) }
    sites[index].denseRows = rows
    compute.copy(sites[index].dense.pointer, from: activations, count: count)
  }

  /// Adds `rows` rows of whole sequences of one length.
  /// - Parameter activations: `[rows, input.columns]`.
  package func observe(_ input: LinearInput, _ activations: UnsafePointer<Float>, rows: Int, sequences: Int) {
    guard let index = inputs.firstIndex(of: input) else { return }
    sites[index].moments.add(activations, rows: rows, sequences: sequences, compute: compute)
    if let gram = sites[index].gram { compute.gramAccumulate(gram, activations, rows: rows) }
    if let cross = sites[index].cross {
      precondition(sites[index].denseRows == rows, "rows of \(input.site) without those of the model before pruning")
      compute.gramAccumulate(cross, sites[index].dense.pointer, activations, rows: rows)
      sites[index].denseRows = 0
    }
  }

  /// What was collected, in the order of the inputs. Ends the observation: sums are let go of as they are finished.
  package func finish() -> [InputStatistics] {
    sites.indices.map { index in
      let moments = sites[index].moments
      let cross = sites[index].cross.map(compute.gramFinish)
      (sites[index].cross, sites[index].dense) = (nil, FloatBuffer(count: 0))
      let products = sites[index].gram.map(compute.gramFinish)
      sites[index].gram = nil
      let gram = products.map {
        Gram(
          sequences: moments.sequences, tokens: moments.tokens, inputs: inputs[index].columns, products: $0,
          cross: cross)
      }
      return InputStatistics(moments: moments, gram: gram)
    }
  }
}

extension Moments {
  /// Adds `rows` rows (`[rows, inputs]`) of sequences of one length.
  mutating func add(_ activations: UnsafePointer<Float>, rows: Int, sequences: Int, compute: Compute) {
    let length = rows / sequences, columns = sum.count
    for sequence in 0..<sequences {
      var magnitudes = [Double](repeating: 0, count: columns)
      compute.momentsAccumulate(
        sum: &sum, sumOfSquares: &sumOfSquares, sumOfMagnitudes: &magnitudes,
        activations + sequence * length * columns, rows: length, columns: columns)
      for (column, magnitude) in magnitudes.enumerated() {
        let mean = magnitude / Double(length)
        sumOfMagnitudes[column] += magnitude
        sumOfSquaredMeans[column] += mean * mean
      }
    }
    tokens += rows
    self.sequences += sequences
  }
}
