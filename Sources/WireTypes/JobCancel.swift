// job/cancel: stops a request by its job, for those who did not send it. Its sender gets -32800.

package import JSON

package enum JobCancel: Method {
  package static let name = "job/cancel"

  package struct Params: MethodParams {
    package let job: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) { job = try fields.string("job") }
  }

  package static func result(job: String) -> JSON { ["job": JSON(job), "cancelled": true] }
}
