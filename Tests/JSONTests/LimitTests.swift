// What a document may ask for: depth, size and number of values, each at its limit and one past it.

import Testing

@testable import JSON

struct LimitTests {
  private func nested(_ depth: Int) -> String {
    String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
  }

  @Test func depth() throws {
    _ = try JSON.parse(nested(128))
    #expect(throws: JSONError.tooDeep(limit: 128, offset: 128)) { try JSON.parse(nested(129)) }
    #expect(throws: JSONError.tooDeep(limit: 128, offset: 128)) { try JSON.parse(nested(100_000)) }
    #expect(throws: JSONError.tooDeep(limit: 128, offset: 128)) {
      try JSON.parse(String(repeating: "[", count: 5_000_000))
    }
    let objects = String(repeating: #"{"a":"#, count: 129) + "1" + String(repeating: "}", count: 129)
    #expect(throws: JSONError.tooDeep(limit: 128, offset: 640)) { try JSON.parse(objects) }
    let one = JSONLimits(depth: 1, bytes: 100, nodes: 100)
    _ = try JSON.parse("[1]", limits: one)
    #expect(throws: JSONError.tooDeep(limit: 1, offset: 1)) { try JSON.parse("[[]]", limits: one) }
    let none = JSONLimits(depth: 0, bytes: 100, nodes: 100)
    #expect(try JSON.parse("1", limits: none) == 1)
    #expect(throws: JSONError.tooDeep(limit: 0, offset: 0)) { try JSON.parse("[]", limits: none) }
  }

  @Test func aLimitBeyondWhatRecursionBearsIsLowered() throws {
    let boundless = JSONLimits(depth: .max, bytes: .max, nodes: .max)
    _ = try JSON.parse(nested(1024), limits: boundless)
    #expect(throws: JSONError.tooDeep(limit: 1024, offset: 1024)) { try JSON.parse(nested(1025), limits: boundless) }
  }

  @Test func bytes() throws {
    let limits = JSONLimits(depth: 8, bytes: 5, nodes: 8)
    _ = try JSON.parse("[1,2]", limits: limits)
    #expect(throws: JSONError.tooLarge(bytes: 6, limit: 5)) { try JSON.parse("[1, 2]", limits: limits) }
  }

  @Test func nodes() throws {
    let limits = JSONLimits(depth: 8, bytes: 100, nodes: 4)
    _ = try JSON.parse("[[1],2]", limits: limits)
    #expect(throws: JSONError.tooManyNodes(limit: 4, offset: 7)) { try JSON.parse("[[1],2,3]", limits: limits) }
    #expect(throws: JSONError.tooManyNodes(limit: 4, offset: 0)) { try JSON.parse("{}", limits: limits) }
    let eleven = JSONLimits(depth: 8, bytes: 100, nodes: 11)
    _ = try JSON.parse(#"{"a":[1,2]}"#, limits: eleven)
    #expect(throws: JSONError.tooManyNodes(limit: 11, offset: 10)) { try JSON.parse(#"{"a":[1,2,3]}"#, limits: eleven) }
  }

  @Test func writingStopsAtTheDepthThatIsRead() throws {
    func nest(_ depth: Int) -> JSON { (1..<depth).reduce(JSON.array([])) { inner, _ in .array([inner]) } }
    let deepest = nest(128)
    #expect(try JSON.parse(deepest.serialized()) == deepest)
    #expect(throws: JSONError.valueTooDeep(limit: 128)) { try nest(129).serialized() }
    #expect(throws: JSONError.valueTooDeep(limit: 128)) { try JSON.object(["a": nest(128)]).serialized() }
  }
}
