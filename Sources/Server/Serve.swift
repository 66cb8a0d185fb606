// The daemon from its first byte to its exit code: builds the parts, serves one client, and takes them down.

import JSONRPC

/// Serves one client over the descriptors of `options` until it leaves.
/// - Returns: the exit code of LSP 3.17: 0 if the client said `shutdown` before it left, otherwise 1.
package func serve(options: ServeOptions) -> Int32 {
  let ending = Ending(end: options.end)
  let outbox: Outbox
  do throws(OutboxError) {
    outbox = try Outbox(descriptor: options.output, clientGone: { _ in ending.clientIsGone() })
  } catch {
    complain(error.message)
    return 1
  }
  let scheduler = Scheduler()
  ending.onClientGone { scheduler.cancelAll() }
  if let parent = options.clientProcessId { watchProcess(parent) { ending.clientIsGone() } }

  let context = ServerContext(options: options, outbox: outbox, scheduler: scheduler)
  let session = Session(context: context, ending: ending)
  let limits = FrameLimits(bodyBytes: options.maximumBodyBytes)
  _ = Connection(descriptor: options.input, outbox: outbox, limits: limits).run(handler: session)

  scheduler.cancelAll()
  scheduler.stop(within: 1)
  outbox.finish(within: 2)
  return ending.exitCode
}
