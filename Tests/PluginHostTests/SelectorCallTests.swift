// Calls into a third party's plugin: host services, statuses, messages, cancellation, and what it may do wrong.

import Compression
import Foundation
import Glibc
import PluginHost
import Synchronization
import Tensors
import Testing

@Suite struct SelectorCallTests {
  /// Loaded once; the file is not needed after that.
  static let specimen = Result {
    let ear = Ear()
    let workshop = try Workshop()
    let registry = PluginRegistry(services: ear.services)
    try registry.load(path: workshop.compile(Specimen.source, to: "specimen.so"))
    return (ear: ear, selector: try registry.selector(id: "specimen"))
  }
  let ear: Ear
  let selector: any Selector

  init() throws { (ear, selector) = try Self.specimen.get() }

  /// The plugin's own words about a call that did not succeed.
  func failure(
    _ behaviour: Specimen.Behaviour, sample: Sample = Sample(rows: 4, columns: 9)
  ) -> (status: Int32, message: String)? {
    do {
      _ = try sample.score(with: selector, Specimen.parameters(behaviour))
    } catch PluginError.failed("specimen", sample.tensor, let status, let message) {
      return (status, message)
    } catch {
      Issue.record(error)
    }
    return nil
  }

  @Test(arguments: [(1, 1), (1, 300), (300, 1), (37, 53)])
  func scoresArrive(rows: Int, columns: Int) throws {
    let sample = Sample(rows: rows, columns: columns)
    let scores = try sample.score(with: selector, Specimen.parameters(.scale, amount: 2.5))
    #expect(scores == sample.weights.map { 2.5 * $0 })
    let negated = try sample.score(with: selector, Specimen.parameters(.scale, amount: 2.5, negate: true))
    #expect(negated == sample.weights.map { -2.5 * $0 })
  }

  @Test(arguments: [1, 2, 127, 128, 129, 255, 256, 1000, 4096, 100_003])
  func parallelForCoversEachIndexOnce(count: Int) throws {
    let scores = try Sample(rows: 1, columns: count).score(with: selector, Specimen.parameters(.countCalls))
    #expect(scores.allSatisfy { $0 == 1 })
  }

  @Test func matrixAndHostAreDescribed() throws {
    var sample = Sample(rows: 4, columns: 9)
    sample.moments?.sum[1] = -1.5
    sample.moments?.sumOfSquares[1] = 2.25
    sample.moments?.sumOfMagnitudes[1] = 3.5
    #expect(
      failure(.echo, sample: sample)?.message
        == "model.layers.3.mlp.down_proj.weight layer 3, 4 x 9; 7 sequences, 448 tokens, 9 inputs, sums -1.5 2.25 3.5; "
        + "sizes 1 1 1 1; host 1.2, extension absent")
    sample.layer = nil
    sample.tensor = "lm_head.weight"
    #expect(failure(.echo, sample: sample)?.message.hasPrefix("lm_head.weight layer -1, 4 x 9;") == true)
  }

  @Test func statusesAndMessagesComeThrough() {
    #expect(failure(.fail)! == (3, "the moon is full"))
    #expect(failure(.unknownStatus)! == (77, ""))
    #expect(failure(.failSilently)! == (3, ""))
    #expect(failure(.cancelUnasked)! == (1, ""))
    #expect(failure(.failInBody)! == (3, "the body said 42"))
    #expect(failure(.nestLoops)! == (3, "nested loops gave 2"))
    #expect(failure(.misuseLoops)! == (3, "2 2 0"))
    #expect(failure(.failNoisily)! == (2, "one two \u{fffd}( three [31m"))
  }

  @Test func aFullMessageBufferIsReadToItsEndOnly() {
    let message = failure(.fillMessage)?.message
    #expect(message == String(repeating: "x", count: 1024))
  }

  @Test func writingPastTheMessageBufferIsNoticed() {
    #expect(failure(.overrunMessage)?.message == "it wrote past the end of its message buffer")
  }

  @Test func whatIsNotANumberIsVisible() throws {
    let sample = Sample(rows: 3, columns: 4)
    #expect(try sample.score(with: selector, Specimen.parameters(.writeNaN)).allSatisfy(\.isNaN))
    // Scores that a plugin forgot are not what happened to lie in memory.
    #expect(try sample.score(with: selector, Specimen.parameters(.writeNothing)).allSatisfy(\.isNaN))
  }

  @Test func logAndProgressAreHeard() throws {
    let heard = Mutex<[String]>([])
    let monitor = Monitor { fraction, message in heard.withLock { $0.append("\(fraction) \(message)") } }
    let sample = Sample(rows: 3, columns: 4)
    let scores = try sample.score(with: selector, Specimen.parameters(.talk), monitor: monitor)
    #expect(scores == sample.weights)
    #expect(heard.withLock { $0 } == ["0.0 below", "0.25 ", "1.0 above"])
    #expect(ear.lines.allSatisfy { $0.plugin == "specimen" })
    #expect(ear.lines.map(\.level) == [.error, .warning, .info, .debug, .info, .info, .info, .info])
    let messages = ear.lines.map(\.message)
    #expect(messages.prefix(5) == ["line", "line", "line", "line", "line"][...])
    #expect(messages[5] == String(repeating: "y", count: 4096))
    #expect(messages[6...] == ["bad \u{fffd} byte second line", ""][...])
  }

  @Test func printingDoesNotDisturbTheCall() throws {
    let sample = Sample(rows: 3, columns: 4)
    #expect(try sample.score(with: selector, Specimen.parameters(.printToStdout)) == sample.weights)
  }

  @Test func cancellationReachesAWaitingPlugin() throws {
    let cancellation = Cancellation()
    // Cancels from the plugin's own progress report, so that the plugin is certain to be inside its call.
    let monitor = Monitor(cancellation: cancellation) { _, _ in cancellation.cancel() }
    #expect(throws: Cancelled.self) {
      try Sample(rows: 3, columns: 4).score(with: selector, Specimen.parameters(.waitForCancel), monitor: monitor)
    }
  }

  @Test func aCancelledCallDoesNotBegin() throws {
    let monitor = Monitor()
    monitor.cancellation.cancel()
    #expect(throws: Cancelled.self) {
      try Sample(rows: 3, columns: 4).score(with: selector, Specimen.parameters(.printToStdout), monitor: monitor)
    }
  }

  /// A loop that was cut short leaves holes in the scores, whatever the plugin says.
  @Test(arguments: [Specimen.Behaviour.scale, .ignoreCancelledLoop, .failInBody])
  func aLoopCutShortIsACancelledCall(behaviour: Specimen.Behaviour) throws {
    let cancellation = Cancellation()
    let workshop = try Workshop()
    let registry = PluginRegistry(services: .cancelling(cancellation))
    try registry.load(path: workshop.compile(Specimen.source, to: "specimen.so"))
    #expect(throws: Cancelled.self) {
      try Sample(rows: 30, columns: 40).score(
        with: registry.selector(id: "specimen"), Specimen.parameters(behaviour),
        monitor: Monitor(cancellation: cancellation))
    }
  }

  @Test func callsMayOverlap() throws {
    let samples = (0..<16).map { Sample(rows: 20 + $0, columns: 30, seed: UInt64($0)) }
    let wrong = Mutex(0)
    let selector = selector
    DispatchQueue.concurrentPerform(iterations: 64) { index in
      let sample = samples[index % samples.count]
      let scores = try? sample.score(with: selector, Specimen.parameters(.scale, amount: 2))
      if scores != sample.weights.map({ 2 * $0 }) { wrong.withLock { $0 += 1 } }
    }
    #expect(wrong.withLock { $0 } == 0)
  }

  // MARK: The caller's mistakes

  func inputProblem(
    _ sample: Sample, _ parameters: [ParameterValue] = Specimen.parameters(.scale), scoreCount: Int? = nil
  ) -> PluginInputProblem? {
    do {
      _ = try sample.score(with: selector, parameters, scoreCount: scoreCount)
      return nil
    } catch PluginError.inputInvalid("specimen", sample.tensor, let problem) {
      return problem
    } catch {
      Issue.record(error)
      return nil
    }
  }

  @Test func shapesThatDoNotFitAreRefused() {
    let good = Sample(rows: 3, columns: 4)
    #expect(inputProblem(good) == nil)
    var sample = good
    sample.rows = 4
    #expect(inputProblem(sample) == .shape(what: "weights", rows: 4, columns: 4, given: 12))
    sample.rows = -3
    sample.columns = -4
    #expect(inputProblem(sample) == .shape(what: "weights", rows: -3, columns: -4, given: 12))
    sample.rows = .max
    sample.columns = 2
    #expect(inputProblem(sample) == .shape(what: "weights", rows: .max, columns: 2, given: 12))
    #expect(inputProblem(good, scoreCount: 11) == .shape(what: "scores", rows: 3, columns: 4, given: 11))
  }

  @Test func momentsThatDoNotFitAreRefused() {
    var sample = Sample(rows: 3, columns: 4)
    sample.moments?.sequences = 0
    #expect(inputProblem(sample) == .statisticsMismatch(.moments, what: "sequences", given: 0, expected: 1))
    sample.moments = Moments(inputs: 5)
    sample.moments?.sequences = 1
    #expect(inputProblem(sample) == .statisticsMismatch(.moments, what: "inputs", given: 5, expected: 4))
    sample.moments = Moments(inputs: 4)
    sample.moments?.sequences = 1
    sample.moments?.sumOfMagnitudes.removeLast()
    #expect(inputProblem(sample) == .statisticsMismatch(.moments, what: "inputs", given: 3, expected: 4))
    sample = Sample(rows: 3, columns: 4)
    sample.moments?.tokens = 6
    #expect(inputProblem(sample) == .statisticsMismatch(.moments, what: "tokens", given: 6, expected: 7))
    sample.moments = nil
    #expect(inputProblem(sample) == .statisticsMissing(.moments))
  }

  @Test func parametersThatDoNotFitAreRefused() {
    let sample = Sample(rows: 3, columns: 4)
    let number = ParameterDescription.Kind.number(default: 1, minimum: -2, maximum: 2.5)
    func problem(_ values: ParameterValue...) -> PluginInputProblem? { inputProblem(sample, values) }
    let (zero, one, no) = (ParameterValue.integer(0), ParameterValue.number(1), ParameterValue.boolean(false))
    #expect(problem(zero, one, no) == nil)
    #expect(problem(zero, .number(-2), no) == nil)
    #expect(problem(zero, .number(2.5), no) == nil)
    #expect(inputProblem(sample, []) == .parameterCount(given: 0, expected: 3))
    #expect(
      problem(zero, .number(2.6), no) == .parameterValue(name: "amount", given: .number(2.6), allowed: number))
    guard case .parameterValue("amount", .number, number) = problem(zero, .number(.nan), no) else {
      Issue.record("NaN passed")
      return
    }
    #expect(problem(zero, .integer(1), no) == .parameterValue(name: "amount", given: .integer(1), allowed: number))
    #expect(
      problem(.integer(101), one, no)
        == .parameterValue(
          name: "behaviour", given: .integer(101), allowed: .integer(default: 0, minimum: 0, maximum: 100)))
    #expect(
      problem(zero, one, .number(1))
        == .parameterValue(name: "negate", given: .number(1), allowed: .boolean(default: false)))
  }
}
