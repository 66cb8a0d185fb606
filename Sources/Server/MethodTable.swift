// The table of contents of the server: every method, what it touches, and where it is done.

import WireTypes

/// The methods that are answered between `initialize` and `shutdown`, by name.
let routes: [String: Route] = Dictionary(uniqueKeysWithValues: allRoutes.map { ($0.name, $0) })

/// What is announced to clients: the lifecycle and every route.
let methodNames = [Initialize.name, Shutdown.name] + allRoutes.map(\.name)

private let allRoutes: [Route] =
  statusRoutes + modelRoutes + generationRoutes + datasetRoutes + datasetGenerationRoutes + pluginRoutes
  + importanceRoutes + maskRoutes + revisionRoutes + pruningRoutes + previewRoutes + shrinkRoutes + evaluationRoutes
  + divergenceRoutes + sensitivityRoutes + distillRoutes + recipeRoutes + selftestRoutes
