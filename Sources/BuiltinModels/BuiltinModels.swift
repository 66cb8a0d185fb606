// The model that comes with Espalier, and its texts: files beside the executable, found without any configuration.

import Glibc

package enum BuiltinModels {
  /// Names of the built-in models.
  package static let models = ["sapling"]
  /// Names of the built-in texts.
  package static let texts = ["sapling/calibration", "sapling/evaluation"]

  /// The folder of a built-in model, or nil if there is none of that name.
  package static func path(ofModel name: String) -> String? { models.contains(name) ? resources + "/" + name : nil }

  /// The file of a built-in text, or nil if there is none of that name.
  package static func path(ofText name: String) -> String? {
    texts.contains(name) ? resources + "/" + name + ".txt" : nil
  }

  /// Where the package manager puts this target's files: a folder beside the executable. Tests run in another
  /// executable of the same folder.
  private static let resources: String = {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    let executable = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let folder = executable.lastIndex(of: "/").map { String(executable[..<$0]) } ?? "."
    return folder + "/espalier_BuiltinModels.resources"
  }()
}
