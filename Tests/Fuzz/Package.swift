// swift-tools-version: 6.2
// Fuzzers of everything that reads foreign files. A package of its own, so that the normal build knows nothing of it:
// the sources are the program's (Sources is a link to them), compiled with coverage and address checks. See `run`.
import PackageDescription

let sanitized: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .unsafeFlags(["-sanitize=fuzzer,address", "-enable-testing"]),
]
let checked: [CSetting] = [.unsafeFlags(["-fsanitize=fuzzer-no-link,address", "-O2"])]

let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")

let package = Package(
  name: "fuzz",
  dependencies: [.package(path: "../../.build/checkouts/swift-collections")],
  targets: [
    .systemLibrary(name: "CJSONC", pkgConfig: "json-c"),
    .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8"),
    .systemLibrary(name: "CUTF8Proc"),
    .target(name: "CKernels", cSettings: checked),
    .target(name: "CSystem"),
    .target(name: "JSON", dependencies: ["CJSONC", collections], swiftSettings: sanitized),
    .target(name: "Threads", dependencies: ["CSystem"], swiftSettings: sanitized),
    .target(name: "Tensors", dependencies: ["CKernels", "CSystem", "Threads"], swiftSettings: sanitized),
    .target(
      name: "Checkpoints", dependencies: ["JSON", "Tensors", "CPCRE2", "CUTF8Proc", "CSystem", collections],
      swiftSettings: sanitized),
    .target(
      name: "Transformers", dependencies: ["Checkpoints", "Tensors", "JSON", collections], swiftSettings: sanitized),
    .executableTarget(
      name: "fuzz", dependencies: ["Transformers", "Checkpoints", "Tensors", "JSON", collections], path: "Fuzz",
      swiftSettings: sanitized,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
  ],
  cLanguageStandard: .c11
)
