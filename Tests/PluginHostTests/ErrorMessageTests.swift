// The text of every error, as a client reads it.

import Compression
import PluginHost
import Testing

@Suite struct ErrorMessageTests {
  static let path = "/p/x.so"

  static let table: [(error: PluginError, kind: String, message: String)] = [
    (
      .notFound(id: "wnada", loaded: ["magnitude", "wanda"]), "pluginNotFound",
      "There is no plugin 'wnada'; loaded are magnitude, wanda. Load one with plugin/load, or put it on "
        + "ESPALIER_PLUGIN_PATH."
    ),
    (
      .notFound(id: "wanda", loaded: []), "pluginNotFound",
      "There is no plugin 'wanda'; none is loaded. Load one with plugin/load, or put it on ESPALIER_PLUGIN_PATH."
    ),
    (
      .otherKind(id: "wanda", wanted: .solver, offers: [.selector, .refiner], available: ["sparsegpt"]),
      "pluginOfOtherKind",
      "Plugin 'wanda' offers selector, refiner, but a solver is wanted here. Loaded plugins that offer one: sparsegpt."
    ),
    (
      .otherKind(id: "wanda", wanted: .blockCompensator, offers: [.selector], available: []), "pluginOfOtherKind",
      "Plugin 'wanda' offers selector, but a block-compensator is wanted here. Loaded plugins that offer one: none."
    ),
    (
      .otherKind(id: "wanda", wanted: .objective, offers: [.selector], available: []), "pluginOfOtherKind",
      "Plugin 'wanda' offers selector, but an objective is wanted here. Loaded plugins that offer one: none."
    ),
    (
      .contractBroken(id: "x", tensor: "t", .notFinite(what: "weights", index: 3, value: "nan")),
      "pluginContractBroken",
      "Plugin 'x' gave an invalid result for 't': weights[3] is nan, expected are finite numbers."
    ),
    (
      .contractBroken(id: "x", tensor: "t", .statisticsUndeclared(asked: 3, declared: .moments)),
      "pluginContractBroken",
      "Plugin 'x' gave an invalid result for 't': statistics_for asks for 3, its statistics are 1 (moments); it may "
        + "ask for less, not for more."
    ),
    (
      .failed(id: "wanda", tensor: "t", status: 2, message: "no moments"), "pluginFailed",
      "Plugin 'wanda' could not work on 't' (invalid argument): no moments"
    ),
    (
      .failed(id: "wanda", tensor: "t", status: 3, message: ""), "pluginFailed",
      "Plugin 'wanda' could not work on 't' (failed): it gave no reason"
    ),
    (
      .failed(id: "wanda", tensor: "t", status: 1, message: ""), "pluginFailed",
      "Plugin 'wanda' could not work on 't' (cancelled, though nobody asked): it gave no reason"
    ),
    (
      .failed(id: "wanda", tensor: "t", status: 4, message: "m"), "pluginFailed",
      "Plugin 'wanda' could not work on 't' (out of memory): m"
    ),
    (
      .failed(id: "wanda", tensor: "t", status: -9, message: "m"), "pluginFailed",
      "Plugin 'wanda' could not work on 't' (status -9, which the plugin ABI does not define): m"
    ),
    (
      .inputInvalid(id: "wanda", tensor: "t", .statisticsMissing(.moments)), "pluginInputInvalid",
      "Plugin 'wanda' was not called for 't': it needs moments of the inputs. Give a calibration dataset."
    ),
    (
      .inputInvalid(id: "wanda", tensor: "t", .shape(what: "weights", rows: 2, columns: 3, given: 5)),
      "pluginInputInvalid",
      "Plugin 'wanda' was not called for 't': a matrix of 2 x 3 came with 5 weights."
    ),
    (
      .inputInvalid(id: "wanda", tensor: "t", .statisticsMismatch(.moments, what: "inputs", given: 4, expected: 3)),
      "pluginInputInvalid",
      "Plugin 'wanda' was not called for 't': moments of the inputs have 4 inputs, expected 3."
    ),
    (
      .inputInvalid(id: "wanda", tensor: "t", .parameterCount(given: 0, expected: 1)), "pluginInputInvalid",
      "Plugin 'wanda' was not called for 't': it takes 1 parameters, given were 0."
    ),
    (
      .inputInvalid(
        id: "wanda", tensor: "t",
        .parameterValue(
          name: "normExponent", given: .number(5), allowed: .number(default: 1, minimum: 0, maximum: 4))),
      "pluginInputInvalid",
      "Plugin 'wanda' was not called for 't': parameter 'normExponent' is 5.0, allowed is a number of 0.0...4.0."
    ),
    (
      .inputInvalid(
        id: "format", tensor: "t",
        .parameterValue(name: "pattern", given: .number(5), allowed: .text(default: "x"))),
      "pluginInputInvalid",
      "Plugin 'format' was not called for 't': parameter 'pattern' is 5.0, allowed is a text of at most 1024 bytes "
        + "without U+0000."
    ),
    (
      .inputInvalid(id: "x", tensor: "t", .teacherMissing), "pluginInputInvalid",
      "Plugin 'x' was not called for 't': it compares with a teacher, and none was given."
    ),
    (
      .inputInvalid(id: "x", tensor: "t", .answerMissing), "pluginInputInvalid",
      "Plugin 'x' was not called for 't': it needs the right answer, which the data do not give."
    ),
    (
      .inputInvalid(id: "x", tensor: "t", .targetInvalid(given: 9, vocabulary: 9)), "pluginInputInvalid",
      "Plugin 'x' was not called for 't': the token 9 is not in the vocabulary, which has 9."
    ),
    (
      .inputInvalid(id: "x", tensor: "t", .tooSmall(what: "the vocabulary", given: 0, least: 1)), "pluginInputInvalid",
      "Plugin 'x' was not called for 't': the vocabulary is 0, expected is at least 1."
    ),
    (
      .inputInvalid(id: "x", tensor: "t", .zeroInText(what: "prompt")), "pluginInputInvalid",
      "Plugin 'x' was not called for 't': the prompt has the character U+0000, at which it would end for a plugin."
    ),
    (
      .contractBroken(id: "x", tensor: "t", .memoryInvalid(given: -1)), "pluginContractBroken",
      "Plugin 'x' gave an invalid result for 't': its memory is to have -1 floats, expected are 0...268435456."
    ),
  ]

  static let rejections: [(rejection: PluginRejection, reason: String, message: String)] = [
    (
      .unreadable(reason: "No such file or directory"), "unreadable",
      "it cannot be read (No such file or directory). Check the path and its permissions."
    ),
    (.notRegularFile, "notRegularFile", "it is not a regular file. Give the path of a shared library."),
    (
      .writableByAnyone(path: "/p"), "writableByAnyone",
      "anyone may write to '/p', so anyone could run code in this process. Run: chmod o-w '/p'"
    ),
    (
      .folderNotAbsolute, "folderNotAbsolute",
      "a folder in ESPALIER_PLUGIN_PATH must be an absolute path, so that what is loaded does not depend on the "
        + "working directory."
    ),
    (
      .notELF, "notELF",
      "it is not a 64-bit little-endian ELF file. Give a shared library built for this system."
    ),
    (
      .notSharedLibrary, "notSharedLibrary",
      "it is an ELF file but no shared library. Build it with -shared -fPIC."
    ),
    (
      .otherMachine(found: 183, expected: 62), "otherMachine",
      "it was built for processor type 183, this is 62 (numbers of ELF's e_machine). Build it for this machine."
    ),
    (
      .damaged(detail: "a segment lies outside the file"), "damaged",
      "its ELF structure is damaged or cut short (a segment lies outside the file). Build or copy it again."
    ),
    (
      .symbolMissing, "symbolMissing",
      "it defines no symbol 'espalier_plugin'. Define the descriptor that espalier_plugin.h describes, and include "
        + "that header, which makes it visible."
    ),
    (
      .symbolNotData, "symbolNotData",
      "its symbol 'espalier_plugin' is not a constant in the file. It must be a const descriptor, not a function."
    ),
    (
      .abiMajor(found: 2, supported: 1), "abiMajor",
      "it was built for plugin ABI 2.x, this host has 1.2. Build it with this host's espalier_plugin.h."
    ),
    (
      .abiMinor(found: 3, supported: 2), "abiMinor",
      "it needs plugin ABI 1.3 or newer, this host has 1.2. Use a newer Espalier, or build it with this host's "
        + "espalier_plugin.h."
    ),
    (
      .structSize(name: "espalier_selector", found: 8, expected: 32), "structSize",
      "espalier_selector says that it has 8 bytes; expected are at least 32, a multiple of 8. Set struct_size to "
        + "sizeof the struct."
    ),
    (
      .changedSinceLoaded, "changedSinceLoaded",
      "the file has changed since it was loaded, and a loaded library stays as it is until the process ends. Restart "
        + "the daemon, or give the new build another path and id."
    ),
    (
      .notLoadable(reason: "undefined symbol: f"), "notLoadable",
      "the system's loader refused it (undefined symbol: f)."
    ),
    (
      .descriptorMoved, "descriptorMoved",
      "the descriptor in memory is not the one in the file. The file may have been replaced while it was being "
        + "loaded; try again."
    ),
    (
      .fieldInvalid(field: "id", problem: "is missing or empty"), "fieldInvalid", "its field id is missing or empty."
    ),
    (
      .nothingOffered(known: ["espalier.selector/1"]), "nothingOffered",
      "it offers none of the extensions that this host knows (espalier.selector/1). Return one from get_extension."
    ),
    (
      .duplicate(id: "wanda", first: "/a.so"), "duplicateId",
      "plugin 'wanda' is loaded from '/a.so' already. Unload that one first, or give this one its own id."
    ),
  ]

  @Test(arguments: table.indices)
  func errorsSayWhatWasGivenAndExpected(index: Int) {
    let (error, kind, message) = Self.table[index]
    #expect(error.kind == kind)
    #expect(error.message == message)
    #expect("\(error)" == message)
  }

  @Test(arguments: rejections.indices)
  func rejectionsSayWhy(index: Int) {
    let (rejection, reason, message) = Self.rejections[index]
    let error = PluginError.rejected(path: Self.path, rejection)
    #expect(error.kind == "pluginRejected")
    #expect(rejection.reason == reason)
    #expect(error.message == "'\(Self.path)' is not used as a plugin: \(message)")
  }

  @Test func reasonsAreDistinct() {
    #expect(Set(Self.rejections.map(\.reason)).count == Self.rejections.count)
  }
}
