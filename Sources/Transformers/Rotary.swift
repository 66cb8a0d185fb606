// The frequencies of rotary embeddings, with the scalings that stretch them to longer sequences.

import Glibc
import Tensors

/// A rotary embedding: how far each pair of a head's channels turns from one position to the next.
struct Rotary: Sendable, Equatable {
  let headSize: Int
  /// `rope_theta`
  let base: Double
  var scaling = Scaling.none

  enum Scaling: Sendable, Equatable {
    case none
    /// All frequencies divided by `factor`. (Chen et al. 2023, position interpolation)
    case linear(factor: Double)
    /// Wavelengths beyond `original / low` divided by `factor`, those below `original / high` kept, and those between
    /// mixed. (Llama 3.1, `rope_type` "llama3" of transformers)
    case llama3(factor: Double, low: Double, high: Double, original: Double)
  }

  /// D / 2 angles per position, in fp32 as the reference implementation computes them.
  var frequencies: [Float] {
    let plain = RotaryTable.frequencies(headSize: headSize, base: base)
    switch scaling {
    case .none: return plain
    case .linear(let factor): return plain.map { $0 / Float(factor) }
    case .llama3(let factor, let low, let high, let original):
      return plain.map { frequency in
        let wavelength = 2 * Float.pi / frequency
        if wavelength < Float(original / high) { return frequency }
        if wavelength > Float(original / low) { return frequency / Float(factor) }
        let smooth = (Float(original) / wavelength - Float(low)) / Float(high - low)
        return (1 - smooth) * (frequency / Float(factor)) + smooth * frequency
      }
    }
  }
}
