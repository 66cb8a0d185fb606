// espalier plugin: the pruning criteria that a daemon finds here.

import ArgumentParser
import JSON
import PipeClient

struct Plugin: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at plugins.", subcommands: [PluginList.self], defaultSubcommand: PluginList.self)
}

struct PluginList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the plugins that are found, and those that are refused with the reason.",
    discussion: """
      Plugins are looked for beside the program and in the folders of the variable ESPALIER_PLUGIN_PATH, which are \
      separated by colons.
      """)

  @Flag(help: "Print the daemon's answer as JSON.")
  var json = false

  @OptionGroup var daemon: DaemonOptions

  func run() throws {
    let result = try daemon.withDaemon(StatusLine()) { try $0.call("plugin/list") }
    if json { return try printJSON(result) }
    let plugins = result["plugins"]?.array ?? []
    let loaded = plugins.filter { $0["state"] != "rejected" }
    if !loaded.isEmpty { print(Self.table(loaded).text) }
    for plugin in plugins where plugin["state"] == "rejected" {
      print("\nrefused: \(plugin["path"]?.string ?? "?")\n  \(plugin["error"]?["message"]?.string ?? "")")
    }
    if plugins.isEmpty { print("No plugins are found. Name their folder in ESPALIER_PLUGIN_PATH.") }
  }

  private static func table(_ plugins: [JSON]) -> Table {
    let fields = ["plugin", "version", "kind", "statistics", "state", "path"]
    return Table(
      columns: fields.map { Table.Column(heading: $0) },
      rows: plugins.map { plugin in fields.map { plugin[$0]?.string ?? "" } })
  }
}
