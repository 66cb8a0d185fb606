// A model split over several safetensors files by model.safetensors.index.json, whose weight_map says which tensor is
// in which file. Index and files must say the same: a tensor that only one of them knows is an error, because then
// either the index or the file belongs to another version of the model.

import JSON
package import OrderedCollections
package import Tensors

package enum ShardedSafetensors {
  package static let indexName = "model.safetensors.index.json"

  /// Maps and checks all shards that the index at `folder` names.
  /// - Returns: the tensors, shard after shard in the order of their names.
  /// - Throws: `CheckpointError.file`, `.json`, `.shards` or `.safetensors`.
  package static func open(folder: String) throws(CheckpointError) -> OrderedDictionary<String, TensorView> {
    let indexPath = "\(folder)/\(indexName)"
    let shardOf = try weightMap(indexPath)
    let shards = Set(shardOf.values).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for shard in shards where !isPlainName(shard) { throw .shards(path: indexPath, .unsafeName(shard)) }

    var tensors = OrderedDictionary<String, TensorView>(minimumCapacity: shardOf.count)
    var foundIn: [String: String] = [:]
    for shard in shards {
      let path = "\(folder)/\(shard)"
      guard try FileSystem.kind(of: path) != nil else { throw .shards(path: indexPath, .missingShard(shard)) }
      for (name, view) in try SafetensorsFile(path: path).tensors {
        if let first = foundIn.updateValue(shard, forKey: name) {
          throw .shards(path: indexPath, .tensorTwice(tensor: name, shards: [first, shard]))
        }
        guard shardOf[name] != nil else {
          throw .shards(path: indexPath, .tensorNotIndexed(tensor: name, shard: shard))
        }
        tensors[name] = view
      }
    }
    for (name, shard) in shardOf where foundIn[name] != shard {
      throw .shards(path: indexPath, .tensorMissing(tensor: name, shard: shard))
    }
    return tensors
  }

  private static func weightMap(_ path: String) throws(CheckpointError) -> OrderedDictionary<String, String> {
    let index = try JSON.read(path: path)
    guard let members = index["weight_map"]?.object else {
      throw .shards(path: path, .weightMap(expected: "an object \"weight_map\" from tensor names to file names"))
    }
    guard !members.isEmpty else { throw .shards(path: path, .empty) }
    var map = OrderedDictionary<String, String>(minimumCapacity: members.count)
    for (name, value) in members {
      guard let shard = value.string else {
        throw .shards(path: path, .weightMap(expected: "a file name for \"\(name)\", not \(value.typeName)"))
      }
      map[name] = shard
    }
    return map
  }

  /// The name of a file in the folder itself: whoever writes an index must not choose which other files are read.
  private static func isPlainName(_ name: String) -> Bool {
    name.hasSuffix(".safetensors") && !name.hasPrefix(".") && FileSystem.isPlainName(name)
  }
}
