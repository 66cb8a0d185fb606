// Llama in double, one loop after another, straight from the formulas (Touvron et al. 2023): what the engine's
// statistics and sequential pruning are compared with. Checked itself against the PyTorch goldens.

import Checkpoints
import Glibc
import JSON
import Tensors
import TestSupport
import Transformers
import Workspace

/// A matrix of doubles, row after row.
struct Matrix {
  var rows: Int
  var columns: Int
  var values: [Double]

  init(rows: Int, columns: Int) {
    (self.rows, self.columns) = (rows, columns)
    values = [Double](repeating: 0, count: rows * columns)
  }

  init(_ tensor: MaskedTensor) {
    self.init(rows: tensor.rows, columns: tensor.columns)
    var row = [Float](repeating: 0, count: columns)
    for r in 0..<rows {
      tensor.readRow(r, into: &row)
      for c in 0..<columns { values[r * columns + c] = Double(row[c]) }
    }
  }

  subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// self · otherᵀ
  func timesTransposed(_ other: Matrix) -> Matrix {
    var out = Matrix(rows: rows, columns: other.rows)
    for r in 0..<rows {
      for o in 0..<other.rows {
        var sum = 0.0
        for c in 0..<columns { sum += self[r, c] * other[o, c] }
        out[r, o] = sum
      }
    }
    return out
  }
}

struct NaiveLlama {
  let configuration: NaiveConfiguration
  let weights: any WeightSource

  /// The model at its current revision.
  init(_ model: TestModel) throws {
    configuration = try NaiveConfiguration(model.checkpoint.configuration)
    weights = model.history.current
  }

  /// Called with the input of the maps of a site: `attention`, `attentionOutput`, `mlp`, `mlpDown`.
  typealias Observer = (_ layer: Int, _ site: String, _ input: Matrix) -> Void

  func embed(_ tokens: [Int32]) -> Matrix {
    let table = Matrix(weights.tensor("model.embed_tokens.weight"))
    var hidden = Matrix(rows: tokens.count, columns: table.columns)
    for (t, token) in tokens.enumerated() {
      for c in 0..<table.columns { hidden[t, c] = table[Int(token), c] }
    }
    return hidden
  }

  /// One sequence through one layer, under other masks if some are given.
  func layer(
    _ layer: Int, _ hidden: Matrix, masks: [String: MaskBits] = [:], observer: Observer? = nil
  ) -> Matrix {
    func weight(_ name: String) -> Matrix {
      let name = "model.layers.\(layer).\(name).weight"
      let tensor = weights.tensor(name)
      return Matrix(masks[name].map { MaskedTensor(weights: tensor.weights, mask: $0) } ?? tensor)
    }
    func linear(_ x: Matrix, _ name: String) -> Matrix { x.timesTransposed(weight(name)) }
    var hidden = hidden
    let x = norm(hidden, weight("input_layernorm"))
    observer?(layer, "attention", x)
    let attended = attention(
      rotated(linear(x, "self_attn.q_proj")), rotated(linear(x, "self_attn.k_proj")), linear(x, "self_attn.v_proj"))
    observer?(layer, "attentionOutput", attended)
    add(linear(attended, "self_attn.o_proj"), to: &hidden)

    let y = norm(hidden, weight("post_attention_layernorm"))
    observer?(layer, "mlp", y)
    var gated = linear(y, "mlp.gate_proj")
    let up = linear(y, "mlp.up_proj")
    for i in gated.values.indices { gated.values[i] = gated.values[i] / (1 + exp(-gated.values[i])) * up.values[i] }
    observer?(layer, "mlpDown", gated)
    add(linear(gated, "mlp.down_proj"), to: &hidden)
    return hidden
  }

  /// The loss of each next token.
  func losses(_ hidden: Matrix, _ tokens: [Int32]) -> [Double] {
    let name = configuration.tiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"
    let logits = norm(hidden, Matrix(weights.tensor("model.norm.weight"))).timesTransposed(Matrix(weights.tensor(name)))
    return (0..<tokens.count - 1).map { t in
      let row = (0..<logits.columns).map { logits[t, $0] }
      let largest = row.max() ?? 0
      return largest + log(row.reduce(0) { $0 + exp($1 - largest) }) - row[Int(tokens[t + 1])]
    }
  }

  func losses(_ tokens: [Int32]) -> [Double] {
    var hidden = embed(tokens)
    for index in 0..<configuration.layers { hidden = layer(index, hidden) }
    return losses(hidden, tokens)
  }

  private func add(_ x: Matrix, to hidden: inout Matrix) {
    for i in hidden.values.indices { hidden.values[i] += x.values[i] }
  }

  private func norm(_ x: Matrix, _ weight: Matrix) -> Matrix {
    var out = x
    for t in 0..<x.rows {
      let square = (0..<x.columns).reduce(0) { $0 + x[t, $1] * x[t, $1] } / Double(x.columns)
      let scale = 1 / (square + Double(configuration.rmsNormEps)).squareRoot()
      for c in 0..<x.columns { out[t, c] = x[t, c] * scale * weight[0, c] }
    }
    return out
  }

  private func rotated(_ x: Matrix) -> Matrix {
    let D = configuration.attention.headSize
    var out = x
    for t in 0..<x.rows {
      for first in stride(from: 0, to: x.columns, by: D) {
        for i in 0..<D / 2 {
          let angle = Double(t) * pow(configuration.ropeTheta, -2 * Double(i) / Double(D))
          let (a, b) = (x[t, first + i], x[t, first + i + D / 2])
          out[t, first + i] = a * cos(angle) - b * sin(angle)
          out[t, first + i + D / 2] = b * cos(angle) + a * sin(angle)
        }
      }
    }
    return out
  }

  private func attention(_ q: Matrix, _ k: Matrix, _ v: Matrix) -> Matrix {
    let shape = configuration.attention, D = shape.headSize
    var out = Matrix(rows: q.rows, columns: q.columns)
    for head in 0..<shape.heads {
      let own = head * D, shared = head / (shape.heads / shape.kvHeads) * D
      for t in 0..<q.rows {
        let scores = (0...t).map { s in
          (0..<D).reduce(0) { $0 + q[t, own + $1] * k[s, shared + $1] } / Double(D).squareRoot()
        }
        let largest = scores.max() ?? 0
        let weights = scores.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        for s in 0...t {
          for d in 0..<D { out[t, own + d] += weights[s] / total * v[s, shared + d] }
        }
      }
    }
    return out
  }
}

/// What the plain model needs of a plain configuration.
struct NaiveConfiguration {
  let layers: Int
  let attention: AttentionShape
  let rmsNormEps: Float
  let ropeTheta: Double
  let tiedEmbeddings: Bool

  init(_ configuration: JSONObject) throws {
    var fields = JSONFields(members: configuration, at: "config")
    layers = try fields.int("num_hidden_layers")
    let heads = try fields.int("num_attention_heads"), hidden = try fields.int("hidden_size")
    attention = AttentionShape(
      heads: heads, kvHeads: try fields.int("num_key_value_heads"),
      headSize: try fields.int("head_dim", default: hidden / heads))
    rmsNormEps = Float(try fields.double("rms_norm_eps"))
    var rope = try fields.optionalFields("rope_parameters")
    let base = try rope?.optionalDouble("rope_theta")
    ropeTheta = try base ?? fields.double("rope_theta", default: 10_000)
    tiedEmbeddings = try fields.bool("tie_word_embeddings", default: false)
  }
}
