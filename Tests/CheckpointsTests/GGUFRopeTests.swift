// Scaled rotary embeddings in GGUF: Llama 3's as a tensor of factors, linear as fields.

import Foundation
import JSON
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

/// A Llama model whose heads have 128 channels, with these factors (nil: no tensor of them).
private func llama(_ factors: [Float]?, base: Float = 500_000) throws -> GGUFBuilder {
  var builder = try GGUFBuilder.tiny("llama")
  builder.set("llama.attention.key_length", .uint32(128))
  builder.set("llama.attention.value_length", .uint32(128))
  builder.set("llama.rope.freq_base", .float32(base))
  guard let factors else { return builder }
  builder.tensors.append(
    .init(
      name: "rope_freqs.weight", sizes: [UInt64(factors.count)], byteCount: factors.count * 4,
      content: factors.flatMap { bytes($0.bitPattern) }))
  return builder
}

/// The factors that llama.cpp's converter writes (`generate_extra_tensors` of its Llama class), in fp32 as there.
private func factors(_ factor: Float, low: Float = 1, high: Float = 4, length: Float = 8192, base: Float = 500_000)
  -> [Float]
{
  (0..<64).map { index in
    let frequency = 1 / pow(base, Float(2 * index) / 128)
    let wavelength = 2 * Float.pi / frequency
    if wavelength < length / high { return 1 }
    if wavelength > length / low { return factor }
    let smooth = (length / wavelength - low) / (high - low)
    return 1 / ((1 - smooth) / factor + smooth)
  }
}

private func scaling(_ builder: GGUFBuilder) throws -> JSON? {
  let configuration = try builder.gguf.configuration()
  let theta = try #require(configuration["rope_theta"])
  var parameters = try #require(configuration["rope_parameters"])
  #expect(parameters["rope_theta"] == theta)
  parameters["rope_theta"] = nil
  #expect(parameters == configuration["rope_scaling"] ?? ["rope_type": "default"])
  return configuration["rope_scaling"]
}

private func fault(_ builder: GGUFBuilder) throws -> GGUFFault? {
  let file = try builder.gguf
  guard case .gguf(_, let fault) = try checkpointError({ _ = try file.configuration() }) else { return nil }
  return fault
}

@Suite struct GGUFRopeTests {
  @Test(arguments: [8, 32, 16] as [Float])
  func recognisesLlama3(factor: Float) throws {
    let expected: JSON = [
      "rope_type": "llama3", "factor": JSON(Double(factor)), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
      "original_max_position_embeddings": 8192,
    ]
    #expect(try scaling(llama(factors(factor))) == expected)
  }

  /// Llama 3.1's factors, as computed by hand in double for the first that is not 1 and those around the last but one.
  @Test func theFormulaHasKnownValues() {
    let scaling = Llama3Scaling(factor: 8)
    func divisor(wavelength: Double) -> Double { scaling.divisor(ofFrequency: 2 * .pi / wavelength) }
    #expect(divisor(wavelength: 2047) == 1 && divisor(wavelength: 8193) == 8)
    #expect(abs(divisor(wavelength: 2048 * 1.000001) - 1) < 1e-5)
    // s = (2 - 1) / 3, so 1 / (2/3/8 + 1/3) = 12/5.
    #expect(abs(divisor(wavelength: 4096) - 2.4) < 1e-12)
  }

  @Test func theTensorIsNoPartOfTheModel() throws {
    var builder = try llama(factors(8))
    builder.tensors.removeAll { $0.name.hasPrefix("blk.") }  // their shapes are those of other heads
    let file = try builder.gguf
    let (tensors, stored) = try Checkpoint.translatedTensors(of: file, file.configuration())
    #expect(Set(tensors.keys) == ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"])
    #expect(stored.count == 3)
  }

  @Test func onesScaleNothing() throws {
    #expect(try scaling(llama([Float](repeating: 1, count: 64))) == nil)
    #expect(try scaling(llama(nil)) == nil)
  }

  @Test func refusesOtherFactors() throws {
    var perturbed = factors(8)
    perturbed[40] *= 1.01
    var notNumber = factors(8)
    notNumber[63] = .nan
    let others: [[Float]] = [
      perturbed, notNumber, factors(8, high: 2), factors(8, length: 4096), factors(8).reversed(), factors(8).dropLast(),
      [Float](repeating: 0, count: 64), [Float](repeating: .infinity, count: 64),
    ]
    for other in others { #expect(try fault(llama(other)) == .ropeFactors("rope_freqs.weight")) }
    #expect(try fault(llama(factors(8), base: 10_000)) == .ropeFactors("rope_freqs.weight"), "of another base")

    var half = try llama(factors(8))
    half.tensors[half.tensors.count - 1].type = 1
    half.tensors[half.tensors.count - 1].sizes = [128]
    #expect(try fault(half) == .ropeFactors("rope_freqs.weight"))
  }

  @Test func linearScaling() throws {
    var builder = try llama(nil)
    builder.set("llama.rope.scaling.type", .string("linear"))
    builder.set("llama.rope.scaling.factor", .float32(4))
    builder.set("llama.rope.scaling.original_context_length", .uint32(4096))
    builder.set("llama.rope.scaling.finetuned", .bool(1))
    #expect(try scaling(builder) == ["rope_type": "linear", "factor": 4.0])
    builder.set("llama.rope.scaling.factor", .float32(1))
    #expect(try scaling(builder) == nil)
    builder.set("llama.rope.scaling.factor", .float32(-2))
    #expect(
      try fault(builder)
        == .metadataValue(key: "llama.rope.scaling.factor", found: "-2.0", expected: "more than 0"))
    builder.set("llama.rope.scaling.factor", .float32(4))
    builder.set("llama.rope.scaling.attn_factor", .float32(2))
    #expect(try fault(builder) == .unsupportedKey("llama.rope.scaling.attn_factor", value: "2.0"))
    builder.set("llama.rope.scaling.type", .string("none"))
    #expect(try scaling(builder) == nil)

    var both = try llama(factors(8))
    both.set("llama.rope.scaling.type", .string("linear"))
    both.set("llama.rope.scaling.factor", .float32(4))
    #expect(try fault(both) == .ropeFactors("rope_freqs.weight"))
  }
}
