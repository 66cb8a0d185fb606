// shutdown: the last request of a client before it sends exit (LSP 3.17, shutdown).

package enum Shutdown: Method {
  package static let name = "shutdown"
  package typealias Params = NoParams
}
