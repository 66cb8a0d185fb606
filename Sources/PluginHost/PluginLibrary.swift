// A plugin's way into the process: looked at as a file, then mapped, then copied field by field.
// Knows one library at a time; which ids and files are in use is the registry's matter.
//
// A mapped library is never unmapped. Closing one whose language runtime has registered types with the process (a
// Swift plugin's does) leaves dangling tables behind and crashes the host later; a few kilobytes cost less.

import CPluginABI
import Glibc

/// A file that was built for this ABI, found without running any of it.
package struct InspectedPlugin: Sendable {
  /// Absolute and free of symbolic links.
  package let path: String
  let identity: FileIdentity
  let head: DescriptorHead

  /// - Throws: the rejections of a file that is not mapped.
  package init(path: String) throws(PluginRejection) {
    let library = try ELFLibrary(PluginFile(path: path))
    self.path = library.file.path
    identity = library.file.identity
    head = try DescriptorHead(readingFrom: library)
  }
}

/// Who a plugin says that it is.
package struct PluginIdentity: Sendable, Equatable {
  package let id: String
  package let version: String
  package let summary: String
  package let vendor: String?
  package let licence: String?
  package let url: String?
}

/// A mapped library: copies of what it says about itself, and the functions that it offers.
struct PluginLibrary: Sendable {
  let path: String
  let identity: PluginIdentity
  let offers: PluginOffers

  /// Checks and copies the descriptor of a mapped library. Runs its `get_extension`.
  /// - Throws: `notLoadable`, `descriptorMoved`, `fieldInvalid`, `structSize`, `nothingOffered`.
  init(_ mapped: borrowing MappedLibrary, inspected: InspectedPlugin) throws(PluginRejection) {
    let symbol = try mapped.symbol(DescriptorHead.symbolName)
    guard DescriptorHead(at: symbol) == inspected.head else { throw .descriptorMoved }
    let descriptor: espalier_plugin_descriptor = try loadStruct(at: symbol, name: "espalier_plugin_descriptor")
    let identity = try PluginIdentity(descriptor)
    guard let getExtension = descriptor.get_extension else {
      throw .fieldInvalid(field: "get_extension", problem: "is NULL")
    }
    path = inspected.path
    self.identity = identity
    offers = try PluginOffers(of: identity, getExtension)
  }
}

/// A library in this process's memory, where it stays.
struct MappedLibrary: ~Copyable {
  private let handle: UnsafeMutableRawPointer

  /// Maps the library, which runs its constructors. Its references are bound now, so that a missing symbol is an error
  /// here and not a crash later, and its own symbols stay private.
  /// - Throws: `notLoadable`.
  init(_ inspected: InspectedPlugin) throws(PluginRejection) {
    guard let handle = dlopen(inspected.path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
      throw .notLoadable(reason: Self.loaderError())
    }
    self.handle = handle
  }

  /// - Throws: `notLoadable`.
  func symbol(_ name: String) throws(PluginRejection) -> UnsafeRawPointer {
    guard let symbol = dlsym(handle, name) else { throw .notLoadable(reason: Self.loaderError()) }
    return UnsafeRawPointer(symbol)
  }

  private static func loaderError() -> String { ForeignText.repaired(dlerror(), limit: 1024) }
}

extension PluginIdentity {
  fileprivate init(_ descriptor: espalier_plugin_descriptor) throws(PluginRejection) {
    id = try ForeignText.required(descriptor.id, field: "id", limit: 64)
    guard ForeignText.isKebabCase(id) else {
      throw .fieldInvalid(field: "id", problem: "is '\(id)', expected is kebab-case such as 'activation-norm'")
    }
    version = try ForeignText.required(descriptor.version, field: "version", limit: 64)
    summary = try ForeignText.required(descriptor.summary, field: "summary", limit: 1024)
    vendor = try ForeignText.optional(descriptor.vendor, field: "vendor", limit: 256)
    licence = try ForeignText.optional(descriptor.licence, field: "licence", limit: 256)
    url = try ForeignText.optional(descriptor.url, field: "url", limit: 1024)
  }
}
