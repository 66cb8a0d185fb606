// What handlers work with: the resident things, the machinery, and the way to speak to the client.

import Compression
import JSON
import JSONRPC
import PluginHost
import Synchronization
import Tensors
import WireTypes
import Workspace

/// One per server. Every part guards itself.
final class ServerContext: Sendable {
  let models = Registry<LoadedModel>(prefix: "model")
  let datasets = Registry<LoadedDataset>(prefix: "d")
  let scores = Registry<ScoreSet>(prefix: "s")
  let sensitivities = Registry<LoadedSensitivity>(prefix: "v")
  let unitScores = Registry<UnitScores>(prefix: "u")
  let runs = Registry<LoadedRun>(prefix: "run")
  /// How often runs that go by themselves had their turn.
  let turns = Mutex(0)
  let statistics = StatisticsStore()
  let scheduler: Scheduler
  let outbox: Outbox
  let started = monotonicSeconds()
  private let limits: FrameLimits
  private let pool: ComputePool
  private let loadedCompute = Mutex<Compute?>(nil)
  private let registeredPlugins: PluginRegistry
  private let discovered = Mutex(false)
  private let traceLevel = Mutex(TraceLevel.off)

  init(options: ServeOptions, outbox: Outbox, scheduler: Scheduler) {
    self.outbox = outbox
    self.scheduler = scheduler
    limits = FrameLimits(bodyBytes: options.maximumBodyBytes)
    let pool = ComputePool(threads: options.threads ?? ComputePool.availableProcessors)
    self.pool = pool
    registeredPlugins = PluginRegistry(
      services: PluginServices(
        log: { level, plugin, message in
          sendLog(LogMessage.Level(rawValue: Int(level.rawValue)) ?? .log, "\(plugin): \(message)", to: outbox)
        },
        parallelFor: { count, body in pool.parallelFor(count) { iteration, _ in body(iteration) } },
        linearAlgebra: { () throws(BLASError) in try LinearAlgebra(pool: pool) }))
    scheduler.setBackground { [weak self] in self?.backgroundStep() }
  }

  var threads: Int { pool.threads }

  /// The linear algebra, loaded when it is first needed: an idle server does without its memory.
  /// - Throws: `BLASError`.
  func compute() throws(BLASError) -> Compute {
    try loadedCompute.withLock { (loaded) throws(BLASError) in
      if let compute = loaded { return compute }
      let compute = try Compute(pool: pool)
      loaded = compute
      return compute
    }
  }

  /// The linear algebra if it is loaded.
  var computeIfLoaded: Compute? { loadedCompute.withLock { $0 } }

  /// Keeps what was found out about a model, under a handle that goes when the model does.
  /// - Throws: `ServerError.modelNotFound` if the model was unloaded while the work went on: the handle would be taken
  ///   for one of the next model of that name.
  func keep<Value>(
    _ value: Value, of model: LoadedModel, in registry: Registry<Value>
  ) throws(ServerError) -> String {
    let handle = models.holding(model.name) { $0 === model ? registry.add(value) : nil }
    guard let handle else { throw .modelNotFound(name: model.name, models: models.names) }
    return handle
  }

  /// The plugins, found when they are first asked for.
  var plugins: PluginRegistry {
    discovered.withLock { discovered in
      if !discovered { registeredPlugins.discover() }
      discovered = true
    }
    return registeredPlugins
  }

  var wireLimits: JSON {
    WireTypes.wireLimits(
      bodyBytes: limits.bodyBytes, headerBytes: limits.headerBytes, depth: JSONLimits.message.depth,
      batch: Incoming.batchLimit, requests: Scheduler.limit)
  }

  /// Tells the client something that is no answer; lost if the client reads too slowly.
  func log(_ level: LogMessage.Level, _ message: String) { sendLog(level, message, to: outbox) }

  /// How much the client wants to hear of what is done. (LSP 3.17, $/setTrace)
  func setTrace(_ level: TraceLevel) { traceLevel.withLock { $0 = level } }

  /// Says what was done to a client that asked to hear it. (LSP 3.17, $/logTrace)
  func trace(_ message: String, verbose: String) {
    let level = traceLevel.withLock { $0 }
    guard level != .off else { return }
    let params = LogTrace.params(message, verbose: level == .verbose ? verbose : nil)
    // Text can always be written as JSON, so nothing is thrown here.
    try? outbox.sendIfRoom { _ in Notification(method: LogTrace.name, params: params).json }
  }
}

private func sendLog(_ level: LogMessage.Level, _ message: String, to outbox: Outbox) {
  // Text can always be written as JSON, so nothing is thrown here.
  try? outbox.sendIfRoom { lost in
    let text = lost == 0 ? message : "\(message) (\(lost) earlier lines were dropped)"
    return Notification(method: LogMessage.name, params: LogMessage.params(level, text)).json
  }
}
