// From a method's name to what is done about it.

import JSON
import WireTypes

/// A request whose parameters were read: what it touches, and how it begins.
struct Call: Sendable {
  let model: String?
  let access: Access
  let prepare: @Sendable () throws -> Plan
}

/// One method that the server answers.
struct Route: Sendable {
  let name: String
  /// Reads the parameters and checks that there are no others.
  let call: @Sendable (_ fields: JSONFields, _ context: ServerContext) throws(JSONFieldError) -> Call

  /// - Parameters:
  ///   - access: what the request reads and changes, told from its parameters alone.
  ///   - model: the model it is about, for job/list.
  ///   - prepare: finds everything the request needs, and answers or says what is to be done. Runs on the control
  ///     lane, so it takes milliseconds.
  init<M: Method>(
    _ method: M.Type, model: @escaping @Sendable (M.Params) -> String? = { _ in nil },
    access: @escaping @Sendable (M.Params) -> Access = { _ in .none },
    prepare: @escaping @Sendable (M.Params, ServerContext) throws -> Plan
  ) {
    name = M.name
    call = { (fields, context) throws(JSONFieldError) in
      var fields = fields
      let params = try M.Params(&fields)
      try fields.finish(alsoAllowed: ["workDoneToken", "partialResultToken"])
      return Call(model: model(params), access: access(params)) { try prepare(params, context) }
    }
  }
}
