// The text of this module's errors: what was given, what was expected, what to do next.

import CPluginABI
import Compression

extension PluginError: CustomStringConvertible {
  package var message: String {
    switch self {
    case .notFound(let id, let loaded):
      let known = loaded.isEmpty ? "none is loaded" : "loaded are \(loaded.joined(separator: ", "))"
      return "There is no plugin '\(id)'; \(known). Load one with plugin/load, or put it on ESPALIER_PLUGIN_PATH."
    case .otherKind(let id, let wanted, let offers, let available):
      let others = available.isEmpty ? "none" : available.joined(separator: ", ")
      let own = offers.map(\.rawValue).joined(separator: ", ")
      let article = "aeo".contains(wanted.rawValue.prefix(1)) ? "an" : "a"
      return "Plugin '\(id)' offers \(own), but \(article) \(wanted.rawValue) is wanted here. "
        + "Loaded plugins that offer one: \(others)."
    case .rejected(let path, let rejection):
      return "'\(path)' is not used as a plugin: \(rejection.message)"
    case .failed(let id, let tensor, let status, let message):
      let reason = message.isEmpty ? "it gave no reason" : message
      return "Plugin '\(id)' could not work on '\(tensor)' (\(Self.word(for: status))): \(reason)"
    case .contractBroken(let id, let tensor, let violation):
      return "Plugin '\(id)' gave an invalid result for '\(tensor)': \(violation.message)"
    case .inputInvalid(let id, let tensor, let problem):
      return "Plugin '\(id)' was not called for '\(tensor)': \(problem.message)"
    }
  }

  package var description: String { message }

  private static func word(for status: Int32) -> String {
    switch status {
    case ESPALIER_CANCELLED: "cancelled, though nobody asked"
    case ESPALIER_INVALID_ARGUMENT: "invalid argument"
    case ESPALIER_FAILED: "failed"
    case ESPALIER_OUT_OF_MEMORY: "out of memory"
    default: "status \(status), which the plugin ABI does not define"
    }
  }
}

extension PluginRejection {
  /// A clause that follows the file's name and a colon.
  package var message: String {
    switch self {
    case .unreadable(let reason):
      return "it cannot be read (\(reason)). Check the path and its permissions."
    case .notRegularFile:
      return "it is not a regular file. Give the path of a shared library."
    case .writableByAnyone(let path):
      return "anyone may write to '\(path)', so anyone could run code in this process. Run: chmod o-w '\(path)'"
    case .folderNotAbsolute:
      return "a folder in ESPALIER_PLUGIN_PATH must be an absolute path, so that what is loaded does not depend on "
        + "the working directory."
    case .notELF:
      return "it is not a 64-bit little-endian ELF file. Give a shared library built for this system."
    case .notSharedLibrary:
      return "it is an ELF file but no shared library. Build it with -shared -fPIC."
    case .otherMachine(let found, let expected):
      return "it was built for processor type \(found), this is \(expected) (numbers of ELF's e_machine). "
        + "Build it for this machine."
    case .damaged(let detail):
      return "its ELF structure is damaged or cut short (\(detail)). Build or copy it again."
    case .symbolMissing:
      return "it defines no symbol 'espalier_plugin'. Define the descriptor that espalier_plugin.h describes, and "
        + "include that header, which makes it visible."
    case .symbolNotData:
      return "its symbol 'espalier_plugin' is not a constant in the file. It must be a const descriptor, not a "
        + "function."
    case .abiMajor(let found, let supported):
      return "it was built for plugin ABI \(found).x, this host has \(Self.hostVersion(major: supported)). "
        + "Build it with this host's espalier_plugin.h."
    case .abiMinor(let found, let supported):
      return "it needs plugin ABI \(ESPALIER_ABI_MAJOR).\(found) or newer, this host has "
        + "\(ESPALIER_ABI_MAJOR).\(supported). Use a newer Espalier, or build it with this host's espalier_plugin.h."
    case .structSize(let name, let found, let expected):
      return "\(name) says that it has \(found) bytes; expected are at least \(expected), a multiple of 8. "
        + "Set struct_size to sizeof the struct."
    case .changedSinceLoaded:
      return "the file has changed since it was loaded, and a loaded library stays as it is until the process ends. "
        + "Restart the daemon, or give the new build another path and id."
    case .notLoadable(let reason):
      return "the system's loader refused it (\(reason))."
    case .descriptorMoved:
      return "the descriptor in memory is not the one in the file. The file may have been replaced while it was "
        + "being loaded; try again."
    case .fieldInvalid(let field, let problem):
      return "its field \(field) \(problem)."
    case .nothingOffered(let known):
      return "it offers none of the extensions that this host knows (\(known.joined(separator: ", "))). "
        + "Return one from get_extension."
    case .duplicate(let id, let first):
      return "plugin '\(id)' is loaded from '\(first)' already. Unload that one first, or give this one its own id."
    }
  }

  private static func hostVersion(major: UInt32) -> String {
    major == UInt32(ESPALIER_ABI_MAJOR) ? "\(major).\(ESPALIER_ABI_MINOR)" : "\(major).x"
  }
}

extension PluginInputProblem {
  package var message: String {
    switch self {
    case .shape(let what, let rows, let columns, let given):
      return "a matrix of \(rows) x \(columns) came with \(given) \(what)."
    case .count(let what, let given, let expected):
      return "it came with \(given) \(what), expected are \(expected)."
    case .statisticsMissing(let statistics):
      return "it needs \(statistics.noun). Give a calibration dataset."
    case .statisticsMismatch(let statistics, let what, let given, let expected):
      return "\(statistics.noun) have \(given) \(what), expected \(expected)."
    case .parameterCount(let given, let expected):
      return "it takes \(expected) parameters, given were \(given)."
    case .parameterValue(let name, let given, let allowed):
      return "parameter '\(name)' is \(given), allowed is \(allowed.text)."
    case .maskValue(let index, let value):
      return "byte \(index) of the mask is \(value), expected is 0 or 1."
    case .ratioInvalid(let given):
      return "the sparsity is \(given), expected is 0...1."
    case .groupInvalid(let group):
      return "the group is \(group.rawValue); one matrix at a time has groups matrix, row and column."
    case .patternDoesNotDivide(let pattern, let columns):
      return "the pattern \(pattern) does not divide \(columns) columns."
    case .unitUnknown(let given, let known):
      return "it scores \(known.map(\.rawValue).joined(separator: ", ")), given were units of kind \(given.rawValue)."
    case .sensitivityMissing:
      return "it needs the measured sensitivity of every tensor's layer. Run evaluate/sensitivity first."
    case .sensitivityInvalid:
      return "a sensitivity curve must have as many losses as sparsities, all finite, the sparsities ascending from 0 "
        + "to at most 1."
    case .measureMissing:
      return "it does not measure layers."
    case .teacherMissing:
      return "it compares with a teacher, and none was given."
    case .answerMissing:
      return "it needs the right answer, which the data do not give."
    case .targetInvalid(let given, let vocabulary):
      return "the token \(given) is not in the vocabulary, which has \(vocabulary)."
    case .tooSmall(let what, let given, let least):
      return "\(what) is \(given), expected is at least \(least)."
    case .zeroInText(let what):
      return "the \(what) has the character U+0000, at which it would end for a plugin."
    }
  }
}

extension StatisticsNeed {
  fileprivate var noun: String {
    switch self {
    case .moments: "moments of the inputs"
    case .gram: "Gram matrices of the inputs"
    case .crossGram: "Gram matrices with the inputs before pruning"
    case .gradients: "gradients of the loss"
    case .regionalGradients: "gradients of the block's output"
    default: words
    }
  }
}

extension ParameterDescription.Kind {
  fileprivate var text: String {
    switch self {
    case .number(_, let minimum, let maximum): "a number of \(minimum)...\(maximum)"
    case .integer(_, let minimum, let maximum): "a whole number of \(minimum)...\(maximum)"
    case .boolean: "true or false"
    case .choice(_, let words): "one of \(words.joined(separator: ", "))"
    case .text: "a text of at most \(ParameterDescription.textLimit) bytes without U+0000"
    }
  }
}
