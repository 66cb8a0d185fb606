/// One of a dataset's sequences, which may be several documents, and its tokens.
package struct DatasetSequence: Sendable, Equatable {
  package let number: Int
  package let rows: Int
}
