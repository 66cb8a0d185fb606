// The teacher of a run: what it expects of a batch's tokens, and what it has inside. What leaves its last layer is kept
// from epoch to epoch, so that a later one only runs its head.

package import Tensors
package import Transformers
import Workspace

/// Whether a teacher's last hidden states are kept, and how: exactly, or in half the room.
package enum TeacherMemory: String, Sendable, CaseIterable {
  case none, fp32, bf16

  var precision: Precision? {
    switch self {
    case .none: nil
    case .fp32: .fp32
    case .bf16: .bf16
    }
  }
}

/// A place in a network, for one layer of it.
struct FeatureSite: Hashable {
  let place: FeaturePlace
  let layer: Int
}

/// Goes forward through a teacher, with its working memory. Used by one thread at a time.
package final class Teacher {
  package let state: ModelState
  private let compute: Compute
  private let precision: Precision
  private let memory: TeacherMemory
  private let store: StatisticsStore
  private let largest: Batch
  private let pass: ForwardPass
  private let hidden: FloatBuffer
  private let room = LogitRoom()
  private var captured: [FeatureSite: FloatBuffer] = [:]
  /// Sequences whose states did not have to be computed, and all that were asked for.
  package private(set) var reused = 0, asked = 0

  /// - Parameter batch: the largest that will be looked at.
  package init(
    _ state: ModelState, batch: Batch, precision: Precision, memory: TeacherMemory, store: StatisticsStore,
    compute: Compute
  ) {
    self.state = state
    self.compute = compute
    self.precision = precision
    self.memory = memory
    self.store = store
    largest = batch
    pass = state.transformer.makeForwardPass(batch: batch, compute: compute, precision: precision)
    hidden = FloatBuffer(count: batch.tokens * state.transformer.shape.hiddenSize)
  }

  /// What the teacher expects at every position of `batch`, and what it has at `sites`, valid until the next call.
  /// - Throws: `Cancelled`.
  func look(
    at batch: TrainingBatch, sites: Set<FeatureSite>, cancellation: Cancellation
  ) throws(Cancelled) -> TeacherLogits {
    let model = state.transformer
    asked += batch.sequences.count
    let memory = sites.isEmpty ? memory(of: batch) : nil
    if let memory, memory.recall(batch.sequences, into: hidden.pointer) {
      reused += batch.sequences.count
    } else {
      pass.embed(batch.tokens, into: hidden.pointer, batch: batch.batch, weights: state.revision)
      capture(.embedding, layer: 0, sites, rows: batch.batch.tokens)
      for layer in 0..<model.shape.layers {
        try pass.layer(
          layer, hidden: hidden.pointer, batch: batch.batch, weights: state.revision, cancellation: cancellation)
        capture(.output, layer: layer, sites, rows: batch.batch.tokens)
        for place in [FeaturePlace.queries, .keys, .values] {
          capture(place, layer: layer, sites, rows: batch.batch.tokens)
        }
      }
      if let memory { memory.keep(batch.sequences, hidden.pointer) }
    }
    return TeacherLogits(
      model, hidden: hidden.pointer, rows: batch.batch.tokens, weights: state.revision, compute: compute,
      precision: precision, room: room)
  }

  /// The features of a site that was asked for: `[tokens, width]`.
  func features(_ site: FeatureSite) -> UnsafePointer<Float> {
    guard let buffer = captured[site] else { preconditionFailure("a site that nobody asked for") }
    return UnsafePointer(buffer.pointer)
  }

  private func capture(_ place: FeaturePlace, layer: Int, _ sites: Set<FeatureSite>, rows: Int) {
    let site = FeatureSite(place: place, layer: layer)
    guard sites.contains(site) else { return }
    let model = state.transformer, slice = model.slice(place, layer: layer)
    let buffer = captured[site] ?? FloatBuffer(count: largest.tokens * slice.width)
    captured[site] = buffer
    let source = place == .embedding || place == .output ? UnsafePointer(hidden.pointer) : pass.projections
    slice.read(into: buffer.pointer, from: source, rows: rows, compute: compute)
  }

  private func memory(of batch: TrainingBatch) -> LastStates? {
    guard let kept = memory.precision, let dataset = batch.dataset, !batch.sequences.isEmpty else { return nil }
    return LastStates(state, dataset: dataset, computed: precision, kept: kept, store: store)
  }
}

/// Columns of a place's rows.
struct FeatureSlice {
  let column: Int
  let width: Int
  /// Of the rows that it is cut from.
  let stride: Int
  let heads: Int

  /// out[n, :] = source[n, column..<column + width]
  func read(into out: UnsafeMutablePointer<Float>, from source: UnsafePointer<Float>, rows: Int, compute: Compute) {
    compute.pool.parallelRanges(rows, grain: 64) { range, _ in
      for row in range { (out + row * width).update(from: source + row * stride + column, count: width) }
    }
  }
}

extension Transformer {
  /// Where a layer's features of a place lie in what the passes give.
  func slice(_ place: FeaturePlace, layer: Int) -> FeatureSlice {
    let C = shape.hiddenSize
    let attention = attentionShape(layer: layer), Q = attention.queryWidth, K = attention.kvWidth, W = Q + 2 * K
    return switch place {
    case .embedding, .output: FeatureSlice(column: 0, width: C, stride: C, heads: 1)
    case .queries: FeatureSlice(column: 0, width: Q, stride: W, heads: attention.heads)
    case .keys: FeatureSlice(column: Q, width: K, stride: W, heads: attention.kvHeads)
    case .values: FeatureSlice(column: Q + K, width: K, stride: W, heads: attention.kvHeads)
    }
  }
}
