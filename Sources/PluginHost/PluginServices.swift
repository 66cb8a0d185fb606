// What the application gives to plugins.

package import Tensors

package struct PluginServices: Sendable {
  /// How much a log line matters; numbered as in the Language Server Protocol.
  package enum LogLevel: Int32, Sendable {
    case error = 1
    case warning = 2
    case info = 3
    case debug = 4
  }

  /// Takes a log line; called on any thread.
  package let log: @Sendable (_ level: LogLevel, _ plugin: String, _ message: String) -> Void
  /// Calls the body once for each of `0..<count`, on several threads, and returns when all are done.
  package let parallelFor: @Sendable (_ count: Int, _ body: @Sendable (Int) -> Void) -> Void
  /// The linear algebra, loaded when a plugin first needs it.
  package let linearAlgebra: @Sendable () throws(BLASError) -> LinearAlgebra

  package init(
    log: @escaping @Sendable (_ level: LogLevel, _ plugin: String, _ message: String) -> Void,
    parallelFor: @escaping @Sendable (_ count: Int, _ body: @Sendable (Int) -> Void) -> Void,
    linearAlgebra: @escaping @Sendable () throws(BLASError) -> LinearAlgebra
  ) {
    self.log = log
    self.parallelFor = parallelFor
    self.linearAlgebra = linearAlgebra
  }
}
