// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

/// Bundled plugins are plain C libraries: one visible symbol, no Swift runtime linked in.
let pluginFlags: [CSetting] = [
  .headerSearchPath("../../protocol"),
  .headerSearchPath("../support"),
  .unsafeFlags(["-O2", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]),
]
let pluginLinking: [LinkerSetting] = [
  .linkedLibrary("m"), .unsafeFlags(["-nostartfiles", "-static-stdlib"]),
]

/// Bundled plugins, one for each folder of that name in `plugins/`: the product espalier-NAME is libespalier-NAME.so, which
/// the daemon finds in its own folder and loads with dlopen like anyone else's.
let plugins = [
  "activation-norm",
  "admm",
  "alps",
  "attention-relation",
  "block-influence",
  "contrastive-memory",
  "cross-entropy",
  "depth-loss",
  "dsnot",
  "exact-match",
  "feature-map",
  "fluctuation",
  "format-regex",
  "forward-kl",
  "gblm",
  "gram-swap",
  "hidden-cosine",
  "hidden-mse",
  "info-nce",
  "jensen-shannon",
  "least-squares",
  "least-squares-dense",
  "length",
  "magnitude",
  "mama",
  "mean-to-bias",
  "movement",
  "numeric-answer",
  "owl",
  "regional-fit",
  "reverse-kl",
  "ria",
  "sampled-kl",
  "sensitivity",
  "skewed-forward-kl",
  "skewed-reverse-kl",
  "snip",
  "sparsegpt",
  "symmetric-kl",
  "taylor",
  "teacher-likelihood",
  "top-k-kl",
  "total-variation",
  "uniform",
  "uniform-move",
  "wanda",
  "wanda-plus-plus",
  "wanda-variant",
]

/// What plugins link beside the C library and its mathematics.
let pluginLibraries = ["format-regex": "pcre2-8"]

/// C over the public header alone; `plugins/support` has what several of them compute.
func plugin(_ name: String) -> Target {
  .target(
    name: name, path: "plugins/\(name)", exclude: ["README.md"], publicHeadersPath: ".", cSettings: pluginFlags,
    linkerSettings: pluginLinking + (pluginLibraries[name].map { [.linkedLibrary($0)] } ?? []))
}

let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")

let package = Package(
  name: "espalier",
  products: [
    .executable(name: "espalier", targets: ["espalier"])
  ] + plugins.map { .library(name: "espalier-\($0)", type: .dynamic, targets: [$0]) },
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
  ],
  targets: [
    // C: system libraries, kernels, the plugin ABI.
    .systemLibrary(
      name: "CJSONC", pkgConfig: "json-c", providers: [.apt(["libjson-c-dev"])]),
    .systemLibrary(
      name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
    // Without pkg-config, whose flags for it SwiftPM warns of; the header is where every compiler looks.
    .systemLibrary(name: "CUTF8Proc"),
    .systemLibrary(
      name: "CMD", pkgConfig: "libmd", providers: [.apt(["libmd-dev"])]),
    .systemLibrary(name: "CPluginABI"),
    // Debug builds would compile C at -O0, forty times slower than a test should wait for.
    .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])]),

    // Swift, from the bottom up; imports point down only (a test checks it).
    .target(name: "JSON", dependencies: ["CJSONC", collections], swiftSettings: settings),
    .target(name: "CSystem"),
    .target(name: "Threads", dependencies: ["CSystem"], swiftSettings: settings),
    .target(name: "Tensors", dependencies: ["CKernels", "CSystem", "Threads"], swiftSettings: settings),
    .target(
      name: "Checkpoints", dependencies: ["JSON", "Tensors", "CPCRE2", "CUTF8Proc", "CSystem", collections],
      swiftSettings: settings),
    .target(
      name: "Transformers", dependencies: ["Checkpoints", "Tensors", "JSON", collections],
      swiftSettings: settings),
    .target(
      name: "Workspace", dependencies: ["Checkpoints", "Tensors", "CMD", collections], swiftSettings: settings),
    .target(
      name: "Compression", dependencies: ["Workspace", "Transformers", "Checkpoints", "Tensors", "JSON", collections],
      swiftSettings: settings),
    .target(
      name: "PluginHost", dependencies: ["CPluginABI", "Compression", "Tensors", collections],
      swiftSettings: settings),
    .target(name: "JSONRPC", dependencies: ["JSON", "Threads", collections], swiftSettings: settings),
    .target(name: "WireTypes", dependencies: ["JSONRPC", "JSON", collections], swiftSettings: settings),
    .target(
      name: "BuiltinModels", exclude: ["training"], resources: [.copy("Resources/sapling")],
      swiftSettings: settings),
    .target(
      name: "Server",
      dependencies: [
        "BuiltinModels", "WireTypes", "JSONRPC", "PluginHost", "Compression", "Workspace", "Transformers",
        "Checkpoints", "Tensors", "Threads", "CSystem", "JSON", collections,
      ], swiftSettings: settings),
    .target(name: "PipeClient", dependencies: ["JSONRPC", "JSON", "Threads"], swiftSettings: settings),
    .target(
      name: "Benchmark",
      dependencies: [
        "BuiltinModels", "PipeClient", "PluginHost", "Compression", "Workspace", "Transformers", "Checkpoints",
        "Tensors", "Threads", "JSON", collections,
      ], swiftSettings: settings),
    .executableTarget(
      name: "espalier",
      dependencies: [
        "Server", "Benchmark", "PipeClient", "JSONRPC", "JSON",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: settings),

    // Tests, one target for each that they test; EndToEndTests drive the built program over its pipe.
    .target(
      name: "TestSupport", dependencies: ["Workspace", "Transformers", "Checkpoints", "Tensors", collections],
      swiftSettings: settings),
    .testTarget(name: "JSONTests", dependencies: ["JSON"], swiftSettings: settings),
    .testTarget(name: "JSONRPCTests", dependencies: ["JSONRPC", "JSON"], swiftSettings: settings),
    .testTarget(
      name: "PluginHostTests", dependencies: ["PluginHost", "TestSupport", "Compression", "Tensors", collections],
      exclude: ["Fixtures", "Goldens"], swiftSettings: settings),
    .testTarget(
      name: "CheckpointsTests", dependencies: ["Checkpoints", "JSON", "Tensors", collections], exclude: ["Goldens"],
      swiftSettings: settings),
    .testTarget(
      name: "PipeClientTests", dependencies: ["PipeClient", "JSONRPC", "JSON"], swiftSettings: settings),
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "Server", "WireTypes", "PipeClient", "JSONRPC", "PluginHost", "Compression", "Workspace", "Transformers",
        "Checkpoints", "Tensors", "Threads", "JSON", "TestSupport",
      ], swiftSettings: settings),
    .testTarget(
      name: "EndToEndTests", dependencies: ["PipeClient", "JSONRPC", "JSON", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "ArchitectureTests", dependencies: ["TestSupport"], swiftSettings: settings),
    // The kernels' sources once more, in double, and plain references: for tests only.
    .target(
      name: "CKernelsDouble", dependencies: ["CKernels"], path: "Tests/Support/CKernelsDouble",
      cSettings: [
        .headerSearchPath("../../../Sources/CKernels"),
        .unsafeFlags(["-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]),
      ]),
    .testTarget(
      name: "TensorsTests", dependencies: ["TestSupport", "Tensors", "CKernels", "CKernelsDouble"],
      exclude: ["Goldens"], swiftSettings: settings),
    .testTarget(
      name: "TransformersTests",
      dependencies: ["TestSupport", "Transformers", "Workspace", "Checkpoints", "Tensors", "JSON", collections],
      exclude: ["Goldens"], swiftSettings: settings),
    .testTarget(
      name: "WorkspaceTests", dependencies: ["TestSupport", "Workspace", "Tensors", collections],
      swiftSettings: settings),
    .testTarget(
      name: "CompressionTests",
      dependencies: [
        "TestSupport", "BuiltinModels", "PluginHost", "Compression", "Workspace", "Transformers", "Checkpoints",
        "Tensors", "Threads", "JSON", collections,
      ], exclude: ["Goldens"], swiftSettings: settings),
  ] + plugins.map(plugin),
  cLanguageStandard: .c11
)
