// The Llama architecture (Touvron et al. 2023): pre-norm blocks of rotary grouped-query attention and a gated MLP.
// Serves Llama 1 and 2, SmolLM2 and everything else that config.json calls `llama` without RoPE scaling.
//
// Legend: N = sequences * length rows, C hidden size, H/KV query and key/value heads, D head size, F intermediate size.

package import OrderedCollections
package import Tensors

/// The arithmetic of a Llama model; see `Transformer`.
package struct Llama: Transformer {
  package let configuration: LlamaConfiguration

  package init(_ configuration: LlamaConfiguration) { self.configuration = configuration }

  package var shape: ModelShape {
    ModelShape(
      layers: configuration.layers, hiddenSize: configuration.hiddenSize,
      vocabularySize: configuration.vocabularySize, maximumLength: configuration.maximumLength)
  }

  package let embeddingTensor = "model.embed_tokens.weight"
  static let normTensor = "model.norm.weight"
  /// The output projection: the embedding itself if they are tied.
  var headTensor: String { configuration.tiedEmbeddings ? embeddingTensor : "lm_head.weight" }

  /// The checkpoint's names for one layer's weights.
  struct LayerNames {
    let inputNorm, q, k, v, o, postNorm, gate, up, down: String

    init(_ layer: Int) {
      let prefix = "model.layers.\(layer)."
      inputNorm = prefix + "input_layernorm.weight"
      q = prefix + "self_attn.q_proj.weight"
      k = prefix + "self_attn.k_proj.weight"
      v = prefix + "self_attn.v_proj.weight"
      o = prefix + "self_attn.o_proj.weight"
      postNorm = prefix + "post_attention_layernorm.weight"
      gate = prefix + "mlp.gate_proj.weight"
      up = prefix + "mlp.up_proj.weight"
      down = prefix + "mlp.down_proj.weight"
    }
  }

  package var expectedTensors: OrderedDictionary<String, [Int]> {
    let C = configuration.hiddenSize, F = configuration.intermediateSize, V = configuration.vocabularySize
    let attention = configuration.attention
    let Q = attention.heads * attention.headSize, KV = attention.kvHeads * attention.headSize
    var tensors: OrderedDictionary<String, [Int]> = [embeddingTensor: [V, C]]
    for layer in 0..<configuration.layers {
      let names = LayerNames(layer)
      tensors[names.inputNorm] = [C]
      tensors[names.q] = [Q, C]
      tensors[names.k] = [KV, C]
      tensors[names.v] = [KV, C]
      tensors[names.o] = [C, Q]
      tensors[names.postNorm] = [C]
      tensors[names.gate] = [F, C]
      tensors[names.up] = [F, C]
      tensors[names.down] = [C, F]
    }
    tensors[Self.normTensor] = [C]
    if !configuration.tiedEmbeddings { tensors[headTensor] = [V, C] }
    return tensors
  }

  package func tensors(layer: Int) -> [String] {
    let names = LayerNames(layer)
    return [
      names.inputNorm, names.q, names.k, names.v, names.o, names.postNorm, names.gate, names.up, names.down,
    ]
  }

  package func linearInputs(layer: Int) -> [LinearInput] {
    let names = LayerNames(layer), attention = configuration.attention
    return [
      LinearInput(
        layer: layer, site: "attention", tensors: [names.q, names.k, names.v], columns: configuration.hiddenSize),
      LinearInput(
        layer: layer, site: "attentionOutput", tensors: [names.o], columns: attention.heads * attention.headSize),
      LinearInput(
        layer: layer, site: "mlp", tensors: [names.gate, names.up], columns: configuration.hiddenSize),
      LinearInput(
        layer: layer, site: "mlpDown", tensors: [names.down], columns: configuration.intermediateSize),
    ]
  }

  package func unitCounts(layer: Int) -> (heads: Int, neurons: Int) {
    (configuration.attention.heads, configuration.intermediateSize)
  }

  /// A head's query rows and its columns of the output projection (key/value heads serve several query heads and
  /// stay); a neuron's gate and up rows and its column of the down projection.
  package func slices(of unit: StructuralUnit, layer: Int) -> [WeightSlice] {
    let names = LayerNames(layer)
    switch unit {
    case .head(let head):
      let D = configuration.attention.headSize
      let range = head * D..<(head + 1) * D
      return [
        WeightSlice(tensor: names.q, axis: .rows, range: range),
        WeightSlice(tensor: names.o, axis: .columns, range: range),
      ]
    case .neuron(let neuron):
      let range = neuron..<neuron + 1
      return [
        WeightSlice(tensor: names.gate, axis: .rows, range: range),
        WeightSlice(tensor: names.up, axis: .rows, range: range),
        WeightSlice(tensor: names.down, axis: .columns, range: range),
      ]
    }
  }

  package func forwardOperations(batch: Batch) -> Double {
    let attention = configuration.attention
    let shapes = expectedTensors
    let linear = (0..<configuration.layers).flatMap { linearInputs(layer: $0) }.flatMap(\.tensors)
      .reduce(0.0) { sum, name in sum + Double(shapes[name]?.reduce(1, *) ?? 0) }
    let head = Double(configuration.vocabularySize * configuration.hiddenSize)
    let tokens = Double(batch.tokens), seen = Double(batch.length + 1) / 2
    let attended = Double(configuration.layers * attention.heads * attention.headSize) * 2 * seen
    return 2 * (tokens * (linear + attended) + Double(batch.sequences * (batch.length - 1)) * head)
  }

  package var activationBytesPerToken: Int {
    let attention = configuration.attention
    let attentionFloats = (2 * attention.heads + 2 * attention.kvHeads) * attention.headSize
    return 4 * (2 * configuration.hiddenSize + attentionFloats + 2 * configuration.intermediateSize)
  }

  package func makeForwardPass(batch: Batch, compute: Compute) -> any ForwardPass {
    LlamaForwardPass(model: self, batch: batch, compute: compute)
  }
}

/// Llama's activations and the forward pass over them.
private final class LlamaForwardPass: ForwardPass {
  private let model: Llama
  private let compute: Compute
  private let rotary: RotaryTable
  private let normed: FloatBuffer  // [N, C]
  private let q: FloatBuffer  // [N, H*D]
  private let k, v: FloatBuffer  // [N, KV*D]
  private let attended: FloatBuffer  // [N, H*D]
  private let gate, up: FloatBuffer  // [N, F]
  private let scores: FloatBuffer  // attention scratch
  private let weightScratch: FloatBuffer  // the largest matrix of a layer, as fp32
  private let normScratch: FloatBuffer  // [C]

  init(model: Llama, batch: Batch, compute: Compute) {
    self.model = model
    self.compute = compute
    let configuration = model.configuration, attention = configuration.attention
    let N = batch.tokens, C = configuration.hiddenSize, F = configuration.intermediateSize
    let Q = attention.heads * attention.headSize, KV = attention.kvHeads * attention.headSize
    rotary = RotaryTable(length: batch.length, headSize: attention.headSize, base: configuration.ropeTheta)
    normed = FloatBuffer(count: N * C)
    q = FloatBuffer(count: N * Q)
    k = FloatBuffer(count: N * KV)
    v = FloatBuffer(count: N * KV)
    attended = FloatBuffer(count: N * Q)
    gate = FloatBuffer(count: N * F)
    up = FloatBuffer(count: N * F)
    scores = FloatBuffer(count: compute.attentionScratch(length: batch.length))
    weightScratch = FloatBuffer(count: max(Q, F) * C)
    normScratch = FloatBuffer(count: C)
  }

  func embed(_ tokens: [Int32], into hidden: UnsafeMutablePointer<Float>, weights: any WeightSource) {
    let embedding = weights.tensor(model.embeddingTensor), C = model.configuration.hiddenSize
    compute.pool.parallelRanges(tokens.count, grain: 64) { range, _ in
      for n in range { embedding.readRow(Int(tokens[n]), into: hidden + n * C) }
    }
  }

  func layer(
    _ layer: Int, hidden: UnsafeMutablePointer<Float>, batch: Batch, weights: any WeightSource,
    cancellation: Cancellation, observer: LinearInputObserver?
  ) throws(Cancelled) {
    let names = Llama.LayerNames(layer), attention = model.configuration.attention
    let N = batch.tokens
    let inputs = observer == nil ? [] : model.linearInputs(layer: layer)
    func observe(_ index: Int, _ activations: FloatBuffer) {
      if let observer { observer(inputs[index], activations.pointer, N) }
    }
    func linear(
      _ out: UnsafeMutablePointer<Float>, _ x: FloatBuffer, _ name: String, accumulate: Bool = false
    ) throws(Cancelled) {
      try compute.linearForward(
        out, x.pointer, weights.tensor(name), rows: N, scratch: weightScratch, accumulate: accumulate,
        cancellation: cancellation)
    }

    // hidden += Wo attention(rope(Wq x), rope(Wk x), Wv x), x = norm(hidden)
    norm(normed.pointer, hidden, names.inputNorm, rows: N, weights: weights)
    observe(0, normed)
    try linear(q.pointer, normed, names.q)
    try linear(k.pointer, normed, names.k)
    try linear(v.pointer, normed, names.v)
    compute.ropeForward(
      q.pointer, table: rotary, sequences: batch.sequences, length: batch.length, heads: attention.heads)
    compute.ropeForward(
      k.pointer, table: rotary, sequences: batch.sequences, length: batch.length, heads: attention.kvHeads)
    try compute.attentionForward(
      attended.pointer, q.pointer, k.pointer, v.pointer, shape: attention, sequences: batch.sequences,
      length: batch.length, scratch: scores, cancellation: cancellation)
    observe(1, attended)
    try linear(hidden, attended, names.o, accumulate: true)

    // hidden += Wdown (silu(Wgate x) * Wup x), x = norm(hidden)
    norm(normed.pointer, hidden, names.postNorm, rows: N, weights: weights)
    observe(2, normed)
    try linear(gate.pointer, normed, names.gate)
    try linear(up.pointer, normed, names.up)
    compute.swiGLUForward(gate.pointer, up.pointer, count: N * model.configuration.intermediateSize)
    observe(3, gate)
    try linear(hidden, gate, names.down, accumulate: true)
  }

  func nextTokenLosses(
    hidden: UnsafePointer<Float>, tokens: [Int32], batch: Batch, weights: any WeightSource,
    cancellation: Cancellation
  ) throws(Cancelled) -> [Double] {
    let C = model.configuration.hiddenSize, predictions = batch.length - 1
    for sequence in 0..<batch.sequences {  // the last position predicts nothing
      norm(
        normed.pointer + sequence * predictions * C, hidden + sequence * batch.length * C, Llama.normTensor,
        rows: predictions, weights: weights)
    }
    let targets = (0..<batch.sequences).flatMap { sequence in
      tokens[(sequence * batch.length + 1)..<((sequence + 1) * batch.length)]
    }
    return try compute.crossEntropyForward(
      hidden: normed.pointer, head: weights.tensor(model.headTensor), targets: targets, cancellation: cancellation)
  }

  private func norm(
    _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ name: String, rows: Int,
    weights: any WeightSource
  ) {
    let weight = weights.tensor(name).floats(orReadInto: normScratch.pointer, pool: compute.pool)
    compute.rmsNormForward(
      out, x, weight: weight, rows: rows, channels: model.configuration.hiddenSize,
      epsilon: model.configuration.rmsNormEps)
  }
}
