// job/list: the requests that are not answered yet.

package import JSON

package enum JobList: Method {
  package static let name = "job/list"
  package typealias Params = NoParams

  package struct Job: Sendable {
    let json: JSON

    package init(
      job: String, method: String, model: String?, running: Bool, percentage: Int, message: String, seconds: Double
    ) {
      json = [
        "job": JSON(job), "method": JSON(method), "model": JSON(model), "state": running ? "running" : "waiting",
        "percentage": JSON(percentage), "message": JSON(message), "seconds": JSON(seconds),
      ]
    }
  }

  package static func result(_ jobs: [Job]) -> JSON { ["jobs": .array(jobs.map(\.json))] }
}
