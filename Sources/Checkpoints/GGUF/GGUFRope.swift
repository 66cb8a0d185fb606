// How the rotary embedding of a GGUF file is scaled, as config.json says it. None, linear, and Llama 3's, which GGUF
// has only as a tensor of factors; whatever else is an error.

import Glibc
import JSON
import OrderedCollections
import Tensors

/// The base of the frequencies and what stretches them.
struct GGUFRope {
  let base: Double
  /// The members of `rope_scaling`; nil for none.
  let scaling: JSONObject?

  /// Factors by which the D/2 inverse frequencies are divided.
  static let factorTensor = "rope_freqs.weight"
  static let scalingPrefix = "rope.scaling."

  /// The keys that config.json has for it: those of transformers before version 5, and its successor `rope_parameters`.
  var configuration: JSONObject {
    var parameters = scaling ?? ["rope_type": "default"]
    parameters["rope_theta"] = JSON(base)
    var configuration: JSONObject = ["rope_theta": JSON(base), "rope_parameters": .object(parameters)]
    if let scaling { configuration["rope_scaling"] = .object(scaling) }
    return configuration
  }
}

extension GGUFFields {
  /// - Parameter factors: whether the architecture may have the tensor of factors.
  func rope(defaultBase: Double = 10_000, factors: Bool = false) throws(GGUFFault) -> GGUFRope {
    let base = try float("rope.freq_base", default: defaultBase)
    guard base > 0 else {
      throw .metadataValue(key: key("rope.freq_base"), found: String(base), expected: "more than 0")
    }
    let linear = try linearScaling()
    guard factors, let tensor = file.tensors[GGUFRope.factorTensor] else {
      return GGUFRope(base: base, scaling: linear)
    }
    guard linear == nil else { throw .ropeFactors(GGUFRope.factorTensor) }
    return GGUFRope(base: base, scaling: try llama3Scaling(tensor, base: base))
  }

  /// What the keys under `rope.scaling.` say; nil for no scaling.
  private func linearScaling() throws(GGUFFault) -> JSONObject? {
    let keys = file.metadata.keys.filter { $0.hasPrefix(key(GGUFRope.scalingPrefix)) }
    guard let first = keys.first else { return nil }
    func unsupported(_ key: String) -> GGUFFault { .unsupportedKey(key, value: file.metadata[key]?.text ?? "") }
    let typeKey = key("rope.scaling.type")
    guard keys.contains(typeKey) else { throw unsupported(first) }
    switch try string("rope.scaling.type") {
    case "none": return nil  // the other fields say nothing then
    case "linear": break
    default: throw unsupported(typeKey)
    }
    // Of a linear scaling only the factor counts; these tell where it comes from.
    let harmless = ["type", "factor", "original_context_length", "finetuned"].map { key(GGUFRope.scalingPrefix + $0) }
    if let other = keys.first(where: { !harmless.contains($0) }) { throw unsupported(other) }
    let factor = try float("rope.scaling.factor")
    guard factor > 0 else {
      throw .metadataValue(key: key("rope.scaling.factor"), found: String(factor), expected: "more than 0")
    }
    return factor == 1 ? nil : ["rope_type": "linear", "factor": JSON(factor)]
  }

  /// The parameters of Llama 3's scaling that give the factors of `tensor`; nil if all of them are 1.
  private func llama3Scaling(_ tensor: GGUFFile.Tensor, base: Double) throws(GGUFFault) -> JSONObject? {
    let size = try headSize()
    guard tensor.dtype == .f32, tensor.shape == [size / 2] else { throw .ropeFactors(GGUFRope.factorTensor) }
    let stored = (0..<size / 2).map { index in
      let bits = file.storage.bytes.loadUnaligned(fromByteOffset: tensor.byteOffset + 4 * index, as: UInt32.self)
      return Double(Float(bitPattern: UInt32(littleEndian: bits)))
    }
    if stored.allSatisfy({ $0 == 1 }) { return nil }
    // Long wavelengths are divided by the whole factor, so it is the last; 8 and 32 are those of Llama 3.1 and 3.2.
    for factor in [stored.last ?? 8, 8, 32] where factor.isFinite && factor > 0 {
      let scaling = Llama3Scaling(factor: factor)
      let reproduced = stored.indices.allSatisfy { index in
        let expected = scaling.divisor(ofFrequency: pow(base, -2 * Double(index) / Double(size)))
        return abs(stored[index] - expected) <= 1e-4 * expected  // they were computed in fp32
      }
      if reproduced { return scaling.configuration }
    }
    throw .ropeFactors(GGUFRope.factorTensor)
  }
}

/// Llama 3's scaling of rotary embeddings (Llama Team 2024; `_compute_llama3_parameters` of transformers). All its
/// models share the three numbers besides the factor.
struct Llama3Scaling {
  let factor: Double
  let lowFrequencyFactor = 1.0
  let highFrequencyFactor = 4.0
  let originalLength = 8192.0

  /// By what the inverse frequency `frequency` is divided: 1 for short wavelengths, `factor` for long ones, and in
  /// between 1 / ((1 - s) / factor + s) with s from 0 to 1.
  func divisor(ofFrequency frequency: Double) -> Double {
    let wavelength = 2 * Double.pi / frequency
    if wavelength < originalLength / highFrequencyFactor { return 1 }
    if wavelength > originalLength / lowFrequencyFactor { return factor }
    let smooth =
      (originalLength / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor)
    return 1 / ((1 - smooth) / factor + smooth)
  }

  var configuration: JSONObject {
    [
      "rope_type": "llama3", "factor": JSON(factor), "low_freq_factor": JSON(lowFrequencyFactor),
      "high_freq_factor": JSON(highFrequencyFactor), "original_max_position_embeddings": JSON(Int(originalLength)),
    ]
  }
}
