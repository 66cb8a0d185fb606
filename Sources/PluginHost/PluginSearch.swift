// Where plugins are looked for without being named: beside the executable, and on ESPALIER_PLUGIN_PATH.
// Never in the working directory: what a daemon runs must not depend on where it was started.

import Glibc

/// A list of folders, and which of their files are taken for plugins.
package struct PluginSearch: Sendable, Equatable {
  package struct Folder: Sendable, Equatable {
    package let path: String
    /// A file name is taken if it begins with this and ends in ".so".
    package let prefix: String

    package init(path: String, prefix: String = "") {
      self.path = path
      self.prefix = prefix
    }
  }

  package let folders: [Folder]

  package init(folders: [Folder]) { self.folders = folders }

  /// `libespalier-*.so` beside the executable, then every `*.so` of the folders in `ESPALIER_PLUGIN_PATH`. The variable
  /// does not count in a process with more rights than its user: he could run his own code with them.
  package static func standard() -> PluginSearch {
    let own = executableFolder().map { [Folder(path: $0, prefix: "libespalier-")] } ?? []
    guard !hasRaisedRights(), let variable = getenv("ESPALIER_PLUGIN_PATH") else { return PluginSearch(folders: own) }
    return PluginSearch(folders: own + folders(inVariable: String(cString: variable)))
  }

  /// The folders of a colon-separated list. Empty entries, which mean "here" to some programs, mean nothing.
  package static func folders(inVariable list: String) -> [Folder] {
    list.split(separator: ":").map { Folder(path: String($0)) }
  }

  /// The folder of the running program.
  package static func executableFolder() -> String? {
    guard let resolved = realpath("/proc/self/exe", nil) else { return nil }
    defer { free(resolved) }
    let path = String(cString: resolved)
    guard let slash = path.lastIndex(of: "/") else { return nil }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// True if the kernel says that this process was started with more rights than its user has (AT_SECURE: set-user-id,
  /// file capabilities), or if it cannot be asked.
  private static func hasRaisedRights() -> Bool {
    let file = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return true }
    defer { close(file) }
    var vector = [UInt64](repeating: 0, count: 128)
    let count = vector.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
    guard count > 0 else { return true }
    return hasRaisedRights(auxiliaryVector: vector[..<(count / 8)])
  }

  /// - Parameter auxiliaryVector: pairs of a number and a value, as the kernel hands them to a new process.
  package static func hasRaisedRights(auxiliaryVector: ArraySlice<UInt64>) -> Bool {
    let secure: UInt64 = 23
    for key in stride(from: auxiliaryVector.startIndex, to: auxiliaryVector.endIndex - 1, by: 2)
    where auxiliaryVector[key] == secure { return auxiliaryVector[key + 1] != 0 }
    return true
  }

  /// The plugin files of a folder, by name.
  /// - Throws: `folderNotAbsolute`, `unreadable`.
  static func files(in folder: Folder) throws(PluginRejection) -> [String] {
    guard folder.path.utf8.first == UInt8(ascii: "/") else { throw .folderNotAbsolute }
    guard let stream = opendir(folder.path) else { throw .unreadable(reason: systemError()) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name.hasPrefix(folder.prefix) && name.hasSuffix(".so") && !name.hasPrefix(".") { names.append(name) }
    }
    let base = folder.path.hasSuffix("/") ? folder.path : folder.path + "/"
    return names.sorted().map { base + $0 }
  }
}
