// distill/load: a saved run, where it was.

package import JSON

package enum DistillLoad: Method {
  package static let name = "distill/load"

  package struct Params: MethodParams {
    package let path: String
    package let name: String?
    /// The names that models and data have now; nil: those that they had.
    package let student: ModelParam?
    package let teacher: ModelParam?
    package let dataset: String?
    package let validation: String?
    // Where it writes from here on are `log` and `checkpoint`, as in distill/start; nil: where it did.
    private let given: JSONObject

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      given = fields.members
      path = try fields.string("path")
      name = try fields.optionalName("name")
      student = try fields.optionalModel("student")
      teacher = try fields.optionalModel("teacher")
      dataset = try fields.optionalString("dataset")
      validation = try fields.optionalString("validation")
      _ = try fields.optionalString("log")
      _ = try DistillStart.CheckpointParam.optional(&fields)
    }

    /// The parameters that the run was started with, under the names of now.
    /// - Throws: for a state that is no run's.
    package func start(_ saved: JSONObject) throws(JSONFieldError) -> DistillStart.Params {
      var members = saved
      for key in ["student", "teacher", "dataset", "name", "log", "checkpoint"] {
        if let value = given[key], !value.isNull { members[key] = value }
      }
      if let validation, var section = members["validation"]?.object {
        section["dataset"] = JSON(validation)
        members["validation"] = .object(section)
      }
      var fields = JSONFields(members: members, at: "state")
      let params = try DistillStart.Params(&fields)
      try fields.finish()
      return params
    }
  }
}
