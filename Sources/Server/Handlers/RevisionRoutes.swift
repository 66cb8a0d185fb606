// revision/log, checkout, branch, forget: the graph of a model's revisions.

import OrderedCollections
import WireTypes
import Workspace

let revisionRoutes = [
  Route(RevisionLog.self, model: \.model) { params, context in
    let model = try context.model(params.model)
    let log = model.history.log
    return .answer(
      RevisionLog.result(
        model.place, branches: log.branches.map { ($0.key, $0.value) },
        revisions: log.revisions.map { revision in
          RevisionLog.Entry(
            revision: revision.id, parent: revision.parent, method: revision.operation.method,
            summary: revision.operation.summary, details: revision.operation.details.map { ($0.key, $0.value) },
            sparsity: revision.sparsity)
        }))
  },
  Route(RevisionCheckout.self, model: \.model, access: { .writing(.model($0.model)) }) { params, context in
    let model = try context.model(params.model)
    _ = try model.history.checkout(params.target)
    return .answer(RevisionCheckout.result(model.place))
  },
  Route(RevisionBranch.self, model: \.model, access: { .writing(.model($0.model)) }) { params, context in
    let model = try context.model(params.model)
    _ = try model.history.branch(params.name, at: params.revision)
    return .answer(RevisionBranch.result(model.place))
  },
  Route(RevisionForget.self, model: \.model, access: { .writing(.model($0.model)) }) { params, context in
    let model = try context.model(params.model)
    let forgotten = try model.history.forget(params.revision)
    return .answer(RevisionForget.result(model.place, forgotten: forgotten))
  },
]
