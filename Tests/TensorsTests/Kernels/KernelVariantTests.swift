// Every variant of every kernel against the one in plain C, on odd sizes and unaligned memory.

import CKernels
import Foundation
import TestSupport
import Testing

/// Whether this processor runs the kernels of a level.
private func isAvailable(_ level: ck_level) -> Bool { ck_kernels_at(level) != nil }

@Suite struct KernelVariantTests {
  static let sizes = [1, 2, 7, 31, 32, 33, 65, 127, 577, 1029]

  /// On arm64 NEON is the plain level, and these are skipped.
  @Test(.enabled(if: isAvailable(CK_AVX2), "this processor lacks AVX2, FMA or F16C"), arguments: sizes)
  func avx2AgreesWithPlain(n: Int) throws { try agreesWithPlain(CK_AVX2, n) }

  @Test(.enabled(if: isAvailable(CK_AVX512), "this processor lacks AVX-512"), arguments: sizes)
  func avx512AgreesWithPlain(n: Int) throws { try agreesWithPlain(CK_AVX512, n) }

  func agreesWithPlain(_ level: ck_level, _ n: Int) throws {
    let variant = try #require(ck_kernels_at(level)).pointee
    let plain = try #require(ck_kernels_at(CK_PLAIN)).pointee
    for kernel in variantCases {
      let seed = UInt64(n)
      let inputs = Inputs(seed: seed), same = Inputs(seed: seed)
      let actual = withExtendedLifetime(inputs) { kernel.run(variant, n, inputs) }
      let expected = withExtendedLifetime(same) { kernel.run(plain, n, same) }
      #expect(!expected.isEmpty, "\(kernel.name) wrote beside its memory")
      let tolerance = Tolerance(absolute: kernel.absolute, relative: kernel.relative)
      let fault = difference(Numbers(actual), Numbers(expected), tolerance)
      #expect(fault == nil, "\(kernel.name), \(n) elements, seed \(seed)")
    }
  }

  /// Every line of the list of kernels is held to it.
  @Test func everyKernelIsCompared() throws {
    let list = try String(contentsOfFile: "\(Repository.root)/Sources/CKernels/kernel_list.h", encoding: .utf8)
    let names = list.split(separator: "\n").compactMap { line -> Substring? in
      guard line.hasPrefix("CK_KERNEL(") || line.hasPrefix("CK_FLOAT_KERNEL(") else { return nil }
      return line.split(separator: ",")[1].drop { $0 == " " }
    }
    #expect(names.count > 30)
    #expect(Set(variantCases.flatMap(\.kernels)) == Set(names.map(String.init)))
  }

  @Test func theProgramRunsTheBestLevel() {
    let best = [CK_AVX512, CK_AVX2, CK_PLAIN].first(where: isAvailable) ?? CK_PLAIN
    #expect(String(cString: ck_instruction_set()) == String(cString: ck_level_name(best)))
    #expect(isAvailable(CK_PLAIN))
  }
}
