// A reader of 64-bit ELF shared libraries, just enough to find one constant in a file without running any of it.
// Follows the same tables as the dynamic loader (program headers, dynamic section, hash table), never the section
// headers, which the loader ignores. Source: System V ABI, gABI chapters 4 and 5; GNU hash as glibc's loader reads it.
//
// Everything in the file is taken for a lie until checked: each read is bounded by the file, each loop by a constant.

import Glibc

/// The tables of a shared library that lead from a symbol's name to its bytes.
struct ELFLibrary: ~Copyable {
  let file: PluginFile
  private var segments: [Segment] = []
  /// Where the dynamic section will lie, and how long it is.
  private var dynamicSection: (address: UInt64, size: UInt64)?
  /// What the dynamic section says, of the tags that matter here.
  private var dynamic: [UInt64: UInt64] = [:]

  /// A piece of the file that the loader maps at an address.
  private struct Segment {
    let offset: UInt64
    let address: UInt64
    let size: UInt64
  }

  struct Symbol: Equatable {
    let address: UInt64
    /// 0 if the file does not say.
    let size: UInt64
    let isData: Bool
  }

  /// - Throws: `notELF`, `notSharedLibrary`, `otherMachine`, `damaged`; those of reading.
  init(_ file: consuming PluginFile) throws(PluginRejection) {
    self.file = file
    try readHeaders()
    try readDynamicSection()
  }

  private mutating func readHeaders() throws(PluginRejection) {
    guard file.size >= 64 else { throw .notELF }
    let header = try file.bytes(at: 0, count: 64, of: "the ELF header")
    // Magic, 64 bits, little-endian, version 1.
    guard header.bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]) else { throw .notELF }
    guard header.u16(16) == Constant.sharedObject else { throw .notSharedLibrary }
    guard header.u16(18) == Constant.machine else {
      throw .otherMachine(found: header.u16(18), expected: Constant.machine)
    }
    // The loader does not need section headers, but linkers put them last: their absence shows a cut file.
    let sectionBytes = UInt64(header.u16(58)) * UInt64(header.u16(60))
    let (sectionEnd, overflow) = header.u64(40).addingReportingOverflow(sectionBytes)
    guard !overflow, sectionEnd <= file.size else { throw .damaged(detail: "the section headers lie outside the file") }

    let count = Int(header.u16(56))
    guard header.u16(54) == 56, count <= Constant.maximumSegments else {
      throw .damaged(detail: "the program headers have an unknown form")
    }
    let table = try file.bytes(at: header.u64(32), count: count * 56, of: "the program header table")
    for entry in stride(from: 0, to: count * 56, by: 56) where table.u32(entry) == Constant.loadSegment {
      let segment = Segment(offset: table.u64(entry + 8), address: table.u64(entry + 16), size: table.u64(entry + 32))
      let (end, overflow) = segment.offset.addingReportingOverflow(segment.size)
      guard !overflow, end <= file.size else { throw .damaged(detail: "a segment lies outside the file") }
      segments.append(segment)
    }
    for entry in stride(from: 0, to: count * 56, by: 56) where table.u32(entry) == Constant.dynamicSegment {
      dynamicSection = (table.u64(entry + 16), table.u64(entry + 32))
    }
  }

  private mutating func readDynamicSection() throws(PluginRejection) {
    guard let (address, size) = dynamicSection else { throw .notSharedLibrary }
    guard size <= Constant.maximumDynamicBytes else { throw .damaged(detail: "the dynamic section is too large") }
    let table = try bytes(atAddress: address, count: Int(size), of: "the dynamic section")
    for entry in stride(from: 0, to: Int(size) - 15, by: 16) {
      let tag = table.u64(entry)
      if tag == 0 { break }
      if Constant.wantedTags.contains(tag) { dynamic[tag] = table.u64(entry + 8) }
    }
    guard dynamic[Constant.flags, default: 0] & Constant.isExecutable == 0 else { throw .notSharedLibrary }
  }

  /// `count` bytes of the file that the loader would map at `address`.
  func bytes(atAddress address: UInt64, count: Int, of what: String) throws(PluginRejection) -> LittleEndianBytes {
    for segment in segments where address >= segment.address {
      let within = address - segment.address
      guard within <= segment.size, UInt64(count) <= segment.size - within else { continue }
      return try file.bytes(at: segment.offset + within, count: count, of: what)
    }
    throw .damaged(detail: "\(what) lies outside all segments")
  }

  /// The symbol of that name that other libraries would be given, or nil if the library defines none.
  func symbol(named name: String) throws(PluginRejection) -> Symbol? {
    if let table = dynamic[Constant.gnuHash] { return try symbolByGNUHash(name, table) }
    if let table = dynamic[Constant.systemVHash] { return try symbolBySystemVHash(name, table) }
    return nil
  }

  // Layout: bucket count, first index, bloom words, bloom shift; bloom filter; buckets; chains. A chain holds the
  // hashes of consecutive symbols, the lowest bit of the last one set.
  private func symbolByGNUHash(_ name: String, _ table: UInt64) throws(PluginRejection) -> Symbol? {
    let what = "the hash table"
    let head = try bytes(atAddress: table, count: 16, of: what)
    let (buckets, first, bloomWords) = (head.u32(0), head.u32(4), head.u32(8))
    guard buckets > 0 else { return nil }
    let hash = name.utf8.reduce(5381 as UInt32) { $0 &* 33 &+ UInt32($1) }
    let bucketsAt = table &+ 16 &+ 8 &* UInt64(bloomWords)
    let chainsAt = bucketsAt &+ 4 &* UInt64(buckets)
    var index = try bytes(atAddress: bucketsAt &+ 4 &* UInt64(hash % buckets), count: 4, of: what).u32(0)
    guard index >= first, index > 0 else { return nil }
    for _ in 0..<Constant.maximumChain {
      let link = try bytes(atAddress: chainsAt &+ 4 &* UInt64(index - first), count: 4, of: what).u32(0)
      if link | 1 == hash | 1, let found = try symbol(at: index, named: name) { return found }
      if link & 1 == 1 { return nil }
      guard index < .max else { break }
      index += 1
    }
    throw .damaged(detail: "\(what) has a chain without end")
  }

  // Layout: bucket count, chain count; buckets; chains. Both hold symbol indices, 0 ends a chain.
  private func symbolBySystemVHash(_ name: String, _ table: UInt64) throws(PluginRejection) -> Symbol? {
    let what = "the hash table"
    let head = try bytes(atAddress: table, count: 8, of: what)
    let (buckets, chains) = (head.u32(0), head.u32(4))
    guard buckets > 0 else { return nil }
    let hash = name.utf8.reduce(0 as UInt32) { hash, byte in
      let next = (hash << 4) &+ UInt32(byte)
      let high = next & 0xf000_0000
      return (next ^ (high >> 24)) & ~high
    }
    let chainsAt = table &+ 8 &+ 4 &* UInt64(buckets)
    var index = try bytes(atAddress: table &+ 8 &+ 4 &* UInt64(hash % buckets), count: 4, of: what).u32(0)
    for _ in 0..<Constant.maximumChain {
      if index == 0 { return nil }
      guard index < chains else { throw .damaged(detail: "\(what) points outside itself") }
      if let found = try symbol(at: index, named: name) { return found }
      index = try bytes(atAddress: chainsAt &+ 4 &* UInt64(index), count: 4, of: what).u32(0)
    }
    throw .damaged(detail: "\(what) has a chain without end")
  }

  /// Symbol `index` if it is called `name` and defined here.
  private func symbol(at index: UInt32, named name: String) throws(PluginRejection) -> Symbol? {
    guard let symbols = dynamic[Constant.symbols], let strings = dynamic[Constant.strings],
      let stringsSize = dynamic[Constant.stringsSize]
    else { throw .damaged(detail: "there is a hash table but no symbol table") }
    let entry = try bytes(atAddress: symbols &+ 24 &* UInt64(index), count: 24, of: "the symbol table")
    let wanted = Array(name.utf8) + [0]
    let nameAt = UInt64(entry.u32(0))
    guard nameAt <= stringsSize, UInt64(wanted.count) <= stringsSize - nameAt else { return nil }
    let spelled = try bytes(atAddress: strings &+ nameAt, count: wanted.count, of: "the string table")
    guard spelled.bytes == wanted else { return nil }

    let (type, binding, visibility) = (entry.u8(4) & 15, entry.u8(4) >> 4, entry.u8(5) & 3)
    let section = entry.u16(6)
    guard section != 0, binding != Constant.localBinding,
      visibility == Constant.defaultVisibility || visibility == Constant.protectedVisibility
    else { return nil }
    let isData = type == Constant.dataType && section < Constant.firstReservedSection
    return Symbol(address: entry.u64(8), size: entry.u64(16), isData: isData)
  }

  private enum Constant {
    #if arch(x86_64)
      static let machine: UInt16 = 62
    #elseif arch(arm64)
      static let machine: UInt16 = 183
    #elseif arch(riscv64)
      static let machine: UInt16 = 243
    #else
      #error("the plugin ABI is defined for 64-bit little-endian systems; add this one's e_machine")
    #endif
    static let sharedObject: UInt16 = 3
    static let loadSegment: UInt32 = 1
    static let dynamicSegment: UInt32 = 2

    // Tags of the dynamic section.
    static let systemVHash: UInt64 = 4
    static let strings: UInt64 = 5
    static let symbols: UInt64 = 6
    static let stringsSize: UInt64 = 10
    static let gnuHash: UInt64 = 0x6fff_fef5
    static let flags: UInt64 = 0x6fff_fffb
    static let wantedTags: Set<UInt64> = [systemVHash, strings, symbols, stringsSize, gnuHash, flags]
    /// Flag: a position-independent executable, which has the file type of a library.
    static let isExecutable: UInt64 = 0x0800_0000

    static let localBinding: UInt8 = 0
    static let defaultVisibility: UInt8 = 0
    static let protectedVisibility: UInt8 = 3
    static let dataType: UInt8 = 1
    static let firstReservedSection: UInt16 = 0xff00

    static let maximumSegments = 512
    static let maximumDynamicBytes: UInt64 = 1 << 20
    static let maximumChain = 1 << 16
  }
}
