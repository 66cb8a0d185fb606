// JSON and JSONObject as values: literals, accessors, order, equality.

import Testing

@testable import JSON

struct ValueTests {
  @Test func accessorsAnswerOnlyForTheirKind() {
    let samples: [JSON] = [nil, true, 3, 2.5, "x", [1], ["a": 1]]
    #expect(samples.map(\.isNull) == [true, false, false, false, false, false, false])
    #expect(samples.map(\.bool) == [nil, true, nil, nil, nil, nil, nil])
    #expect(samples.map(\.integer) == [nil, nil, 3, nil, nil, nil, nil])
    #expect(samples.map(\.number) == [nil, nil, 3.0, 2.5, nil, nil, nil])
    #expect(samples.map(\.string) == [nil, nil, nil, nil, "x", nil, nil])
    #expect(samples.map { $0.array?.count } == [nil, nil, nil, nil, nil, 1, nil])
    #expect(samples.map { $0.object?.count } == [nil, nil, nil, nil, nil, nil, 1])
    #expect(samples.map { $0["a"] != nil } == [false, false, false, false, false, false, true])
  }

  @Test func subscriptsChangeMembersInPlace() {
    var json: JSON = ["a": 1, "b": 2]
    json["a"] = 3
    json["c"] = ["x"]
    #expect(json.object.map { Array($0.keys) } == ["a", "b", "c"])
    #expect(json == ["a": 3, "b": 2, "c": ["x"]])
    json["b"] = nil
    #expect(json == ["a": 3, "c": ["x"]])
    json["d"] = .null
    #expect(json["d"] == .null)
    var scalar: JSON = 5
    scalar["a"] = 1
    #expect(scalar == ["a": 1])
  }

  @Test func objectsCompareWithoutOrderAndNumbersWithTheirKind() {
    #expect(JSON.object(["a": 1, "b": 2]) == ["b": 2, "a": 1])
    #expect(JSON.object(["a": 1]) != ["a": 2])
    #expect(JSON.object(["a": 1]) != ["b": 1])
    #expect(JSON.object(["a": 1]) != ["a": 1, "b": 1])
    #expect(JSON.integer(1) != JSON.number(1))
    #expect(JSON.array([1, 2]) != [2, 1])
    #expect(JSON.null != JSON.bool(false))
  }

  @Test func objectsAreCollectionsOfPairs() {
    var object: JSONObject = ["b": 1, "a": 2, "b": 3]
    #expect(object.map(\.key) == ["b", "a"])
    #expect(object.map(\.value) == [3, 2])
    #expect(object["missing"] == nil)
    #expect(object["missing", default: 9] == 9)
    #expect(object.removeValue(forKey: "b") == 3)
    #expect(Array(object.keys) == ["a"])
    #expect(object.isEmpty == false && object.count == 1)
    #expect(JSONObject([("x", 1), ("y", 2), ("x", 3)]) == ["x": 3, "y": 2])
  }

  @Test func conversions() {
    #expect(JSON(5) == 5 && JSON(2.5) == 2.5 && JSON("a") == "a" && JSON(true) == true)
    #expect(JSON([1, 2]) == [1, 2] && JSON(["a"]) == ["a"] && JSON([0.5]) == [0.5])
    #expect(JSON(nil as Int?) == .null && JSON("a" as String?) == "a")
  }
}
