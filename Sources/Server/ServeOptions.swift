// What the executable tells the server: its descriptors and limits. The server knows no arguments.

import Glibc
import JSONRPC

package struct ServeOptions: Sendable {
  /// Where requests come from; stays open.
  package var input: Int32
  /// Where answers go; closed by the server. Nothing else may write to it.
  package var output: Int32
  /// A process whose end ends the server, besides the one that `initialize` may name.
  package var clientProcessId: Int32?
  /// Compute threads; nil takes one for each processor.
  package var threads: Int?
  /// The largest message that is read.
  package var maximumBodyBytes: Int
  /// Ends the process when nobody is left to serve.
  package var end: @Sendable (_ exitCode: Int32) -> Void

  package init(
    input: Int32, output: Int32, clientProcessId: Int32? = nil, threads: Int? = nil,
    maximumBodyBytes: Int = FrameLimits().bodyBytes, end: @escaping @Sendable (Int32) -> Void = { _exit($0) }
  ) {
    self.input = input
    self.output = output
    self.clientProcessId = clientProcessId
    self.threads = threads
    self.maximumBodyBytes = maximumBodyBytes
    self.end = end
  }
}

/// The version of the program, as `--version` and `initialize` say it.
package let espalierVersion = "0.1.0"
