// Where norms are root mean squares, turning the residual stream by any orthogonal matrix changes nothing that a model
// computes: SliceGPT with nothing sliced away. (Ashkboos et al. 2024, section 3; the gains of norms go into the maps
// behind them first)

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct RotationIdentityTests {
  /// Families whose head is not the embedding, into which the last norm's gain could not go.
  static let untied = ["grouped-f32", "mistral", "qwen2", "llama-linear"]

  @Test(arguments: untied)
  func aTurnedModelComputesTheSame(name: String) throws {
    let model = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let turned = model.replacing(try Self.turned(model, leaving: nil))
    let before = try model.outputs(dataset), after = try turned.outputs(dataset)
    #expect(relativeDifference(after, before) < 1e-3, "SliceGPT's bound")
    #expect(relativeDifference(after, before) < 2e-5, "what float allows")
  }

  /// A test of the test: a map that is left as it was shows.
  @Test(arguments: ["model.layers.1.self_attn.k_proj.weight", "model.layers.0.mlp.down_proj.weight"])
  func aMapThatIsNotTurnedShows(left: String) throws {
    let model = try Shrinkable("mistral"), dataset = try TestModel.goldenDataset(tiny: "mistral")
    let turned = model.replacing(try Self.turned(model, leaving: left))
    #expect(relativeDifference(try turned.outputs(dataset), try model.outputs(dataset)) > 1e-3)
  }

  /// The tensors of a model with gains folded and the stream turned to the principal directions of its embeddings.
  /// - Parameter left: a tensor that stays as it is.
  private static func turned(
    _ model: Shrinkable, leaving left: String?
  ) throws -> OrderedDictionary<String, StoredTensor> {
    var matrices = model.state.revision.tensors.mapValues { Matrix($0.masked) }
    func gain(_ name: String) throws -> [Double] { try #require(matrices[name]).values }
    let embedding = "model.embed_tokens.weight", head = "lm_head.weight", last = "model.norm.weight"
    let stream = try #require(matrices[embedding]).transposed, basis = stream.timesTransposed(stream).eigenvectors

    var readers = [head: try gain(last)], writers: [String] = [], norms = [last]
    for layer in 0..<model.state.transformer.shape.layers {
      let prefix = "model.layers.\(layer)."
      for (norm, maps) in [
        ("input_layernorm", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
        ("post_attention_layernorm", ["mlp.gate_proj", "mlp.up_proj"]),
      ] {
        norms.append("\(prefix)\(norm).weight")
        for map in maps { readers["\(prefix)\(map).weight"] = try gain("\(prefix)\(norm).weight") }
      }
      writers += ["self_attn.o_proj", "mlp.down_proj"].map { "\(prefix)\($0).weight" }
    }
    #expect(norms.contains { name in matrices[name]?.values.contains { abs($0 - 1) > 0.01 } ?? false }, "gains matter")

    matrices[embedding] = matrices[embedding]?.timesTransposed(basis)
    for (name, gain) in readers where name != left {
      matrices[name] = matrices[name]?.scalingColumns(gain).timesTransposed(basis)
    }
    for name in writers where name != left {
      matrices[name] = matrices[name].map { basis.timesTransposed($0.transposed) }
    }
    for name in norms { matrices[name]?.values.replaceSubrange(0..., with: repeatElement(1, count: basis.rows)) }
    return try OrderedDictionary(uniqueKeysWithValues: matrices.map { name, matrix in
      let shape = try #require(model.state.revision.tensors[name]).weights.view.shape
      return (name, StoredTensor(weights: WeightsBlob(try #require(matrix.view(shape: shape)))))
    })
  }
}

extension Matrix {
  fileprivate var transposed: Matrix {
    var out = Matrix(rows: columns, columns: rows)
    for r in 0..<rows { for c in 0..<columns { out[c, r] = self[r, c] } }
    return out
  }

  fileprivate func scalingColumns(_ factors: [Double]) -> Matrix {
    var out = self
    for r in 0..<rows { for c in 0..<columns { out[r, c] *= factors[c] } }
    return out
  }

  /// The eigenvectors of a symmetric matrix, a row each, by Jacobi's rotations (Golub and Van Loan, Matrix Computations,
  /// section 8.5).
  fileprivate var eigenvectors: Matrix {
    var matrix = self, vectors = Matrix(rows: rows, columns: rows)
    for r in 0..<rows { vectors[r, r] = 1 }
    for _ in 0..<20 {
      for p in 0..<rows {
        for q in p + 1..<rows where abs(matrix[p, q]) > 1e-14 {
          let theta = (matrix[q, q] - matrix[p, p]) / (2 * matrix[p, q])
          let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
          let cosine = 1 / (t * t + 1).squareRoot(), sine = t * cosine
          func turn(_ a: Double, _ b: Double) -> (Double, Double) { (cosine * a - sine * b, sine * a + cosine * b) }
          for k in 0..<rows { (matrix[k, p], matrix[k, q]) = turn(matrix[k, p], matrix[k, q]) }
          for k in 0..<rows {
            (matrix[p, k], matrix[q, k]) = turn(matrix[p, k], matrix[q, k])
            (vectors[p, k], vectors[q, k]) = turn(vectors[p, k], vectors[q, k])
          }
        }
      }
    }
    return vectors
  }

  /// As a tensor of floats.
  fileprivate func view(shape: [Int]) -> TensorView? {
    let bytes = OwnedBytes(count: 4 * values.count) { bytes in
      for (index, value) in values.enumerated() {
        bytes.storeBytes(of: Float(value), toByteOffset: 4 * index, as: Float.self)
      }
    }
    return TensorView(storage: bytes, byteOffset: 0, dtype: .f32, shape: shape)
  }
}
