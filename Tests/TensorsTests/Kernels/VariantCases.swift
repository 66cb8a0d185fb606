// One case for each kernel, for KernelVariantTests: inputs of a size, and everything that the kernel wrote.

import CKernels
import TestSupport

/// A kernel called through a table of variants.
struct VariantCase: Sendable {
  let name: String
  /// Which lines of kernel_list.h this covers.
  let kernels: [String]
  /// Fused multiply-adds round once where plain C rounds twice; what needs none must agree to the bit.
  let absolute: Double
  let relative: Double
  /// Empty if the kernel wrote beside its memory.
  let run: @Sendable (ck_kernels, Int, Inputs) -> [Double]

  init(
    _ name: String, kernels: [String]? = nil, absolute: Double = 0, relative: Double = 0,
    run: @escaping @Sendable (ck_kernels, Int, Inputs) -> [Double]
  ) {
    self.name = name
    self.kernels = kernels ?? [name]
    self.absolute = absolute
    self.relative = relative
    self.run = run
  }
}

/// Random inputs of one run, which keeps the memory that they are in: kernels get bare pointers.
final class Inputs {
  var random: Seeded
  private var kept: [AnyObject] = []

  init(seed: UInt64) { random = Seeded(seed) }

  func keep<Element>(_ strip: Strip<Element>) -> Strip<Element> {
    kept.append(strip)
    return strip
  }

  func strip(_ count: Int, scale: Double = 1) -> Strip<Float> { keep(Strip(random.floats(count, scale: scale))) }
  func doubles(_ count: Int) -> Strip<Double> {
    keep(Strip([Double](repeating: 0.5, count: count), sentinel: -9))
  }
  func bits(_ count: Int) -> Strip<UInt8> {
    keep(Strip((0..<(count + 7) / 8).map { _ in UInt8(random.int(in: 0...255)) }, sentinel: 3))
  }
}

/// All that was written, or nothing if one of them was left.
private func all(_ strips: Strip<Float>...) -> [Double] {
  strips.contains { $0.values.isEmpty } ? [] : strips.flatMap { $0.values.map(Double.init) }
}

private func all(_ strips: Strip<Double>...) -> [Double] {
  strips.contains { $0.values.isEmpty } ? [] : strips.flatMap(\.values)
}

let variantCases: [VariantCase] = elementwiseCases + activationCases + rowCases + lossCases + decodingCases + wordCases

private let elementwiseCases = [
  VariantCase("add") { K, n, inputs in
    let x = inputs.strip(n), y = inputs.strip(n)
    K.ck_add(x.pointer, y.pointer, n)
    return all(x)
  },
  VariantCase("axpy", absolute: 2e-7, relative: 2e-7) { K, n, inputs in
    let y = inputs.strip(n), x = inputs.strip(n)
    K.ck_axpy(y.pointer, 0.3, x.pointer, n)
    return all(y)
  },
  VariantCase("product_accumulate", absolute: 2e-7, relative: 2e-7) { K, n, inputs in
    let sum = inputs.strip(n), x = inputs.strip(n), y = inputs.strip(n)
    K.ck_product_accumulate(sum.pointer, x.pointer, y.pointer, n)
    return all(sum)
  },
  VariantCase("scale") { K, n, inputs in
    let x = inputs.strip(n)
    K.ck_scale(x.pointer, 0.3, n)
    return all(x)
  },
  VariantCase("bias", kernels: ["bias_forward", "bias_backward"]) { K, n, inputs in
    let x = inputs.strip(3 * (n + 2)), bias = inputs.strip(n), dbias = inputs.doubles(n)
    K.ck_bias_forward(x.pointer, bias.pointer, 3, n, n + 2)
    K.ck_bias_backward(dbias.pointer, x.pointer, 3, n, n + 2)
    return all(dbias) + all(x)
  },
  VariantCase("sum_of_squares", relative: 1e-14) { K, n, inputs in
    [K.ck_sum_of_squares(inputs.strip(n).pointer, n)]
  },
  VariantCase("dot", absolute: 1e-13, relative: 1e-14) { K, n, inputs in
    [K.ck_dot(inputs.strip(n).pointer, inputs.strip(n).pointer, n)]
  },
  VariantCase("moments_accumulate", relative: 1e-14) { K, n, inputs in
    let x = inputs.strip(5 * n), sums = inputs.doubles(n), squares = inputs.doubles(n), magnitudes = inputs.doubles(n)
    K.ck_moments_accumulate(sums.pointer, squares.pointer, magnitudes.pointer, x.pointer, 5, n, n / 3, n)
    return all(sums, squares, magnitudes)
  },
  VariantCase("adamw_step", absolute: 2e-7, relative: 1e-6) { K, n, inputs in
    let p = inputs.strip(n), m = inputs.strip(n), v = inputs.keep(Strip(inputs.random.floats(n).map { $0 * $0 })), g = inputs.strip(n)
    let kept = inputs.bits(n)
    var options = ck_adamw(
      learning_rate: 0.01, rest1: 0.1, rest2: 0.01, epsilon: 1e-6, decay: 0.1,
      gradient_scale: 0.7, bias1: 0.1, bias2: 0.01)
    K.ck_adamw_step(p.pointer, m.pointer, v.pointer, g.pointer, kept.pointer, n, &options)
    K.ck_adamw_step(p.pointer, m.pointer, v.pointer, g.pointer, nil, n, &options)
    return all(p, m, v)
  },
]

private let activationCases = Activation.allCases.map { activation in
  VariantCase(
    "\(activation)", kernels: ["activation_forward", "activation_backward", "gated_forward", "gated_backward"],
    absolute: 2e-6, relative: 2e-6
  ) { K, n, inputs in
    let x = inputs.strip(n, scale: 3), up = inputs.strip(n), dout = inputs.strip(n), kind = activation.kind
    let out = inputs.strip(n), dx = inputs.strip(n), gated = inputs.strip(n)
    K.ck_activation_forward(kind, out.pointer, x.pointer, n)
    K.ck_activation_backward(kind, dx.pointer, dout.pointer, x.pointer, n)
    K.ck_gated_forward(kind, gated.pointer, x.pointer, up.pointer, n)
    K.ck_gated_backward(kind, x.pointer, up.pointer, dout.pointer, x.pointer, up.pointer, n)
    return all(out, dx, gated, x, up)
  }
}

private let rowCases = [
  VariantCase("rmsnorm", kernels: ["rmsnorm_forward", "rmsnorm_backward"], absolute: 2e-6, relative: 2e-6) {
    K, n, inputs in
    let x = inputs.strip(3 * n, scale: 3), weight = inputs.strip(n), dout = inputs.strip(3 * n)
    let out = inputs.strip(3 * n), dx = inputs.strip(3 * n), dweight = inputs.doubles(n)
    K.ck_rmsnorm_forward(out.pointer, x.pointer, weight.pointer, 1, 3, n, 1e-3)
    K.ck_rmsnorm_backward(dx.pointer, dweight.pointer, dout.pointer, x.pointer, weight.pointer, 1, 3, n, 1e-3, 1)
    K.ck_rmsnorm_backward(dout.pointer, dweight.pointer, dout.pointer, x.pointer, weight.pointer, 0, 3, n, 1e-3, 0)
    return all(out, dx, dout) + all(dweight)
  },
  VariantCase("layernorm", kernels: ["layernorm_forward", "layernorm_backward"], absolute: 5e-6, relative: 2e-6) {
    K, n, inputs in
    let x = inputs.strip(3 * n, scale: 3), weight = inputs.strip(n), bias = inputs.strip(n), dout = inputs.strip(3 * n)
    let out = inputs.strip(3 * n), dx = inputs.strip(3 * n), dweight = inputs.doubles(n), dbias = inputs.doubles(n)
    K.ck_layernorm_forward(out.pointer, x.pointer, weight.pointer, bias.pointer, 3, n, 0.1)
    K.ck_layernorm_backward(
      dx.pointer, dweight.pointer, dbias.pointer, dout.pointer, x.pointer, weight.pointer, 3, n, 0.1, 1)
    K.ck_layernorm_backward(
      dout.pointer, dweight.pointer, dbias.pointer, dout.pointer, x.pointer, weight.pointer, 3, n, 0.1, 0)
    return all(out, dx, dout) + all(dweight, dbias)
  },
  VariantCase("rope", kernels: ["rope_forward", "rope_backward"], absolute: 5e-7, relative: 5e-7) { K, n, inputs in
    let x = inputs.strip(2 * 4 * n), dx = inputs.strip(2 * 4 * n), cosines = inputs.strip(2 * n)
    let sines = inputs.strip(2 * n)
    K.ck_rope_forward(x.pointer, cosines.pointer, sines.pointer, 2, 2, 2 * n, 4 * n)
    K.ck_rope_backward(dx.pointer, cosines.pointer, sines.pointer, 2, 2, 2 * n, 4 * n)
    return all(x, dx)
  },
  VariantCase(
    "softmax", kernels: ["causal_softmax_forward", "softmax_backward"], absolute: 1e-6, relative: 2e-6
  ) { K, n, inputs in
    let p = inputs.strip(3 * n, scale: 4), windowed = inputs.strip(3 * n, scale: 4), dp = inputs.strip(3 * n)
    K.ck_causal_softmax_forward(p.pointer, 3, n, max(0, n - 2), 0, n, 0.5)
    K.ck_causal_softmax_forward(windowed.pointer, 3, n, max(0, n - 2), 1 + n / 2, n, 0.5)
    K.ck_softmax_backward(dp.pointer, p.pointer, 3, n, n, 0.5)
    return all(p, windowed, dp)
  },
]

private let lossCases = [
  VariantCase("logsumexp", kernels: ["logsumexp_update", "log_sum_exp"], absolute: 1e-6, relative: 1e-6) {
    K, n, inputs in
    var maximum = -Float.infinity, sum = 0.0
    let logits = inputs.strip(n, scale: 3)
    K.ck_logsumexp_update(&maximum, &sum, logits.pointer, n)
    return [Double(maximum), sum, K.ck_log_sum_exp(logits.pointer, n)]
  },
  VariantCase("distribution", absolute: 1e-6, relative: 2e-6) { K, n, inputs in
    let logits = inputs.strip(n, scale: 3), logs = inputs.strip(n, scale: 1), probabilities = inputs.strip(n, scale: 1)
    K.ck_distribution(logs.pointer, probabilities.pointer, logits.pointer, n, 1.5)
    return all(logs, probabilities)
  },
  VariantCase("cross_entropy_backward", absolute: 1e-6, relative: 2e-6) { K, n, inputs in
    let logits = inputs.strip(n, scale: 3)
    let loss = K.ck_cross_entropy_backward(logits.pointer, n / 2, n, 0.5)
    return all(logits) + [loss]
  },
  VariantCase("divergence", absolute: 3e-6, relative: 2e-6) { K, n, inputs in
    let reference = inputs.strip(n, scale: 3), logits = inputs.strip(n, scale: 3)
    var sums = (0.0, 0.0)
    let divergence = K.ck_divergence(&sums.0, &sums.1, reference.pointer, logits.pointer, n)
    return all(reference, logits) + [divergence, sums.0, sums.1]
  },
]

private let decodingCases = [
  VariantCase(
    "dot_rows", kernels: ["dot_rows_f32", "dot_rows_bf16", "dot_rows_f16"], absolute: 2e-5, relative: 1e-5
  ) { K, n, inputs in
    let rows = 6, N = 7, w = inputs.strip(rows * n), x = inputs.strip(N * n)
    let tops = inputs.random.floats(rows * n).map { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) }
    let brains = inputs.keep(Strip(tops, sentinel: 5))
    let bits = (0..<rows * n).map { _ in DotRowsTests.half(&inputs.random).bits & 0xbfff }
    let halves = inputs.keep(Strip(bits, sentinel: 5))
    let f32 = inputs.strip(N * rows), bf16 = inputs.strip(N * rows), f16 = inputs.strip(N * rows)
    K.ck_dot_rows_f32(f32.pointer, rows, w.pointer, n, rows, n, x.pointer, n, N)
    K.ck_dot_rows_bf16(bf16.pointer, rows, brains.pointer, n, rows, n, x.pointer, n, N)
    K.ck_dot_rows_f16(f16.pointer, rows, halves.pointer, n, rows, n, x.pointer, n, N)
    return all(f32, bf16, f16)
  },
  VariantCase("weighted_rows", absolute: 1e-5, relative: 1e-6) { K, n, inputs in
    let p = inputs.strip(9), v = inputs.strip(9 * n), out = inputs.strip(n)
    K.ck_weighted_rows(out.pointer, p.pointer, v.pointer, n, 9, n)
    return all(out)
  },
]

/// Bits and choices: the same in every variant.
private let wordCases = [
  VariantCase("mask", kernels: ["mask_apply", "mask_count", "mask_unpack", "mask_pack"]) { K, n, inputs in
    let x = inputs.strip(n), kept = inputs.bits(n)
    K.ck_mask_apply(x.pointer, kept.pointer, n)
    var bytes = [UInt8](repeating: 9, count: n), packed = [UInt8](repeating: 9, count: (n + 7) / 8)
    K.ck_mask_unpack(&bytes, kept.pointer, n)
    K.ck_mask_pack(&packed, bytes, n)
    return all(x) + [Double(K.ck_mask_count(kept.pointer, n))] + (bytes + packed).map(Double.init)
  },
  VariantCase("range") { K, n, inputs in
    var low: Float = 0, high: Float = 0, sum = 0.0
    let nan = K.ck_range(&low, &high, &sum, inputs.strip(n).pointer, n)
    return [Double(low), Double(high), sum, Double(nan)]
  },
  VariantCase(
    "select",
    kernels: [
      "select_row", "select_groups", "select_columns", "select_coarse", "select_fine", "select_below", "select_ties",
    ]
  ) { K, n, inputs in
    let scores = inputs.keep(Strip(inputs.random.tied(8 * n, levels: 9))), bytes = (8 * n + 7) / 8
    func mask() -> Strip<UInt8> { inputs.keep(Strip([UInt8](repeating: 255, count: bytes), sentinel: 3)) }
    let row = mask(), groups = mask(), below = mask(), columns = mask()
    var keys = [UInt32](repeating: 0, count: max(8 * n, ck_select_columns_scratch(n)))
    var coarse = [UInt32](repeating: 0, count: 65536), fine = coarse, ties: UInt64 = 3
    K.ck_select_row(row.pointer, scores.pointer, 8 * n, 3 * n, &keys)
    K.ck_select_groups(groups.pointer, scores.pointer, 8 * n, 3, 8)
    K.ck_select_columns(columns.pointer, scores.pointer, n, 8, 1, n / 2, &keys)
    K.ck_select_coarse(&coarse, scores.pointer, 8 * n)
    K.ck_select_fine(&fine, scores.pointer, 8 * n, 0x8000)
    K.ck_select_below(below.pointer, scores.pointer, 8 * n, 0x8000_0000, &ties)
    let equal = K.ck_select_ties(scores.pointer, 8 * n, 0x8000_0000)
    let masks = [row, groups, columns, below].flatMap { $0.values.map(Double.init) }
    func filled(_ counts: [UInt32]) -> [Double] {
      counts.withUnsafeBufferPointer { counts in
        var pairs: [Double] = []
        for (i, count) in counts.enumerated() where count > 0 { pairs += [Double(i), Double(count)] }
        return pairs
      }
    }
    return masks.count == 4 * bytes ? masks + filled(coarse) + filled(fine) + [Double(equal)] : []
  },
]
