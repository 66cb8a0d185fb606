// What can go wrong with plugins, as facts. The text is made in `PluginError+Message.swift`.

package import Compression

/// An error of this module, or of a plugin behind it.
package enum PluginError: Error, Equatable, Sendable {
  /// No loaded plugin has this id.
  case notFound(id: String, loaded: [String])
  /// The plugin exists but offers no method of the wanted kind; `available` are plugins that do.
  case otherKind(id: String, wanted: MethodKind, offers: [MethodKind], available: [String])
  /// A file is not used as a plugin. Unless `rejection` says that it was mapped, nothing of it has run.
  case rejected(path: String, PluginRejection)
  /// The plugin's own verdict: a status that is not "ok", and what it wrote as the reason.
  case failed(id: String, tensor: String, status: Int32, message: String)
  /// The plugin said "ok", but its result is not what the ABI promises.
  case contractBroken(id: String, tensor: String, PluginViolation)
  /// The caller broke the contract of the method's kind; the plugin was not called.
  case inputInvalid(id: String, tensor: String, PluginInputProblem)

  /// A stable word for clients.
  package var kind: String {
    switch self {
    case .notFound: "pluginNotFound"
    case .otherKind: "pluginOfOtherKind"
    case .rejected: "pluginRejected"
    case .failed: "pluginFailed"
    case .contractBroken: "pluginContractBroken"
    case .inputInvalid: "pluginInputInvalid"
    }
  }
}

/// Why a file is not used as a plugin.
package enum PluginRejection: Error, Equatable, Sendable {
  // Before the file is mapped: nothing of it has run.

  /// It cannot be opened or read; `reason` is the system's.
  case unreadable(reason: String)
  /// It is a folder, a device, a pipe.
  case notRegularFile
  /// Anyone may write to `path`, the file or its folder.
  case writableByAnyone(path: String)
  /// A search path entry that is not an absolute path.
  case folderNotAbsolute
  /// The bytes do not begin like a 64-bit little-endian ELF file.
  case notELF
  /// An ELF file that is no shared library: an object file, an executable, a core dump.
  case notSharedLibrary
  /// Built for another processor; numbers as in ELF's `e_machine`.
  case otherMachine(found: UInt16, expected: UInt16)
  /// The ELF structures contradict each other or the file's length; `detail` says where.
  case damaged(detail: String)
  /// The library does not define the data symbol `espalier_plugin`.
  case symbolMissing
  /// `espalier_plugin` is there, but is not a constant of the library.
  case symbolNotData
  case abiMajor(found: UInt32, supported: UInt32)
  case abiMinor(found: UInt32, supported: UInt32)
  /// A struct of the ABI whose `struct_size` cannot be right; `expected` is the least.
  case structSize(name: String, found: UInt32, expected: UInt32)
  /// The file differs from the one of the same path that is mapped already and cannot be unmapped.
  case changedSinceLoaded

  // From here on the library is mapped, and its constructors have run.

  /// The system's loader refused it; `reason` is the loader's.
  case notLoadable(reason: String)
  /// The descriptor in memory is not the one in the file.
  case descriptorMoved
  /// A field of the descriptor or of an extension breaks the rules of the header.
  case fieldInvalid(field: String, problem: String)
  /// It offers no extension that this host knows.
  case nothingOffered(known: [String])
  /// Another loaded plugin has the same id.
  case duplicate(id: String, first: String)

  /// A stable word for clients.
  package var reason: String {
    switch self {
    case .unreadable: "unreadable"
    case .notRegularFile: "notRegularFile"
    case .writableByAnyone: "writableByAnyone"
    case .folderNotAbsolute: "folderNotAbsolute"
    case .notELF: "notELF"
    case .notSharedLibrary: "notSharedLibrary"
    case .otherMachine: "otherMachine"
    case .damaged: "damaged"
    case .symbolMissing: "symbolMissing"
    case .symbolNotData: "symbolNotData"
    case .abiMajor: "abiMajor"
    case .abiMinor: "abiMinor"
    case .structSize: "structSize"
    case .changedSinceLoaded: "changedSinceLoaded"
    case .notLoadable: "notLoadable"
    case .descriptorMoved: "descriptorMoved"
    case .fieldInvalid: "fieldInvalid"
    case .nothingOffered: "nothingOffered"
    case .duplicate: "duplicateId"
    }
  }
}

/// How a call broke the contract of the method's kind. For several tensors the error names the one, or the first.
package enum PluginInputProblem: Error, Equatable, Sendable {
  /// `rows` x `columns` is not the number of `what` given.
  case shape(what: String, rows: Int, columns: Int, given: Int)
  /// A list has not as many elements as another.
  case count(what: String, given: Int, expected: Int)
  /// The method asked for statistics that are not there.
  case statisticsMissing(StatisticsNeed)
  /// Statistics whose sizes do not fit the matrix, or that are of nothing.
  case statisticsMismatch(StatisticsNeed, what: String, given: Int, expected: Int)
  case parameterCount(given: Int, expected: Int)
  /// A value that its description does not allow.
  case parameterValue(name: String, given: ParameterValue, allowed: ParameterDescription.Kind)
  case maskValue(index: Int, value: UInt8)
  case ratioInvalid(given: String)
  case groupInvalid(MaskGroup)
  case patternDoesNotDivide(pattern: String, columns: Int)
  /// A kind of unit that the selector does not know.
  case unitUnknown(given: UnitKind, known: [UnitKind])
  case sensitivityMissing
  /// A curve that does not begin at 0, does not ascend, or is not finite.
  case sensitivityInvalid
  /// The allocator has no `measure`.
  case measureMissing
  /// The method compares with a teacher, or with what it made of the text, and there is none.
  case teacherMissing
  /// The method compares with an answer that the data do not have.
  case answerMissing
  /// A token that is not in the vocabulary.
  case targetInvalid(given: Int, vocabulary: Int)
  /// `what` is `given`, which is below `least`.
  case tooSmall(what: String, given: Int, least: Int)
  /// Text that C cannot hold.
  case zeroInText(what: String)
}
