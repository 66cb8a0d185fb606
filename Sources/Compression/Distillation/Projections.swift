// Learned maps from a student's width to its teacher's, for losses that compare features of one width. (FitNets, Romero
// et al. 2015, section 2.2; one map for all layers of a term, as in Minitron, Muralidharan et al. 2024)

import Glibc
import OrderedCollections
import Tensors
import Transformers
import Workspace

/// A map without bias, `[teacher's width, student's width]`.
struct Projection {
  let name: String
  let outputs: Int
  let inputs: Int
}

/// The maps of all terms of a plan that need one, by the index of the term.
final class Projections {
  let maps: [Int: Projection]
  let companion: Companion?
  private let compute: Compute
  private let scratch = LinearScratch()

  /// New maps, uniform in ±sqrt(6 / (inputs + outputs)). (Glorot & Bengio 2010, eq. 16)
  init(
    _ plan: LossPlan, student: Transformer, teacher: Transformer?, options: AdamWOptions, seed: UInt64,
    compute: Compute
  ) {
    self.compute = compute
    var maps: [Int: Projection] = [:]
    for (index, term) in plan.features.enumerated() {
      guard let teacher, let pair = term.pairs.first, term.objective.method.description.needsSameWidth else { continue }
      let from = student.slice(term.place, layer: pair.student).width
      let to = teacher.slice(term.place, layer: pair.teacher).width
      if from != to { maps[index] = Projection(name: "projection.\(index)", outputs: to, inputs: from) }
    }
    self.maps = maps
    let tensors = maps.sorted { $0.key < $1.key }.map { ($0.value.name, [$0.value.outputs, $0.value.inputs]) }
    guard !maps.isEmpty else {
      companion = nil
      return
    }
    let parameters = Parameters(ParameterLayout(tensors: OrderedDictionary(uniqueKeysWithValues: tensors)))
    var random = SplitMix64(seed: seed)
    for map in maps.sorted(by: { $0.key < $1.key }).map(\.value) {
      let bound = (6 / Float(map.inputs + map.outputs)).squareRoot()
      for i in 0..<map.inputs * map.outputs {
        parameters.block[map.name][i] = Float.random(in: -bound...bound, using: &random)
      }
    }
    companion = Companion(parameters, AdamW(parameters.layout, options))
  }

  private init(_ maps: [Int: Projection], _ companion: Companion?, _ compute: Compute) {
    self.maps = maps
    self.companion = companion
    self.compute = compute
  }

  func copied() -> Projections {
    let copy = companion.map {
      Companion($0.parameters.copied(pool: compute.pool), $0.optimizer.copied(pool: compute.pool))
    }
    return Projections(maps, copy, compute)
  }

  /// Takes over maps and moments of a copy.
  func restore(_ copy: Projections) {
    guard let companion, let other = copy.companion else { return }
    companion.parameters.block.copy(other.parameters.block, pool: compute.pool)
    companion.optimizer.first.copy(other.optimizer.first, pool: compute.pool)
    companion.optimizer.second.copy(other.optimizer.second, pool: compute.pool)
    companion.optimizer.restore(steps: other.optimizer.steps)
  }

  /// out[n, :] = W x[n, :]
  func forward(
    _ map: Projection, _ out: FloatBuffer, _ x: UnsafePointer<Float>, rows: Int, cancellation: Cancellation
  ) throws(Cancelled) {
    guard let companion else { return }
    let task = LinearTask(
      MutableMatrixRows(out.pointer, stride: map.outputs), weights: companion.parameters.tensor(map.name))
    try compute.linearForward(
      [task], MatrixRows(x, stride: map.inputs), rows: rows, scratch: scratch, cancellation: cancellation)
  }

  /// dx = dout W, and the gradient of W, which is added.
  func backward(
    _ map: Projection, _ dx: FloatBuffer, _ dout: FloatBuffer, _ x: UnsafePointer<Float>, rows: Int,
    cancellation: Cancellation
  ) throws(Cancelled) {
    guard let companion else { return }
    let gradient = MatrixRows(dout.pointer, stride: map.outputs)
    try compute.linearBackwardWeights(
      companion.gradients[map.name], gradient, MatrixRows(x, stride: map.inputs), rows: rows, outputs: map.outputs,
      inputs: map.inputs, scratch: scratch, precision: .fp32, cancellation: cancellation)
    try compute.linearBackwardInput(
      MutableMatrixRows(dx.pointer, stride: map.inputs), gradient, weights: companion.parameters.tensor(map.name),
      rows: rows, scratch: scratch, accumulate: false, precision: .fp32, cancellation: cancellation)
  }
}
