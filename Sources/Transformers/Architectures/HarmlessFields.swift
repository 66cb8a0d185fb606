// Fields of config.json that change nothing in the forward pass. Every other field must have been read by the
// architecture: one that changes the arithmetic and is not understood is an error, never passed over.

import JSON

enum HarmlessFields {
  /// - Throws: `JSONFieldError` for the first field that neither the architecture has read nor this list knows.
  static func requireKnown(_ fields: JSONFields) throws(JSONFieldError) {
    guard let stranger = fields.stranger(besides: isHarmless) else { return }
    throw fields.error(
      .unknownField, stranger,
      expected: "only fields whose effect on the arithmetic is known for this architecture; remove it if it has none")
  }

  private static func isHarmless(_ name: String) -> Bool {
    names.contains(name) || beginnings.contains { name.hasPrefix($0) } || endings.contains { name.hasSuffix($0) }
  }

  /// Notes of tools, and heads other than the language model's.
  private static let beginnings = ["_attn_implementation", "unsloth_", "transformers_", "summary_", "classifier_"]
  /// Tokens belong to the tokenizer; dropout is for training in the framework that the field was written for.
  private static let endings = ["_token_id", "_token_ids", "dropout", "_pdrop", "layerdrop"]

  private static let names: Set<String> = [
    // what it is and where it comes from
    "architectures", "auto_map", "model_type", "name_or_path", "dtype", "torch_dtype", "tokenizer_class", "prefix",
    "task_specific_params", "finetuning_task", "problem_type", "id2label", "label2id", "num_labels", "bos_token",
    "eos_token", "pad_token", "license", "language", "_name_or_path", "_model_name_or_path", "_commit_hash",
    "transformers.js_config", shrunkField,
    // how it was initialised and is run
    "initializer_range", "initializer_factor", "init_std", "use_cache", "output_attentions", "output_hidden_states",
    "output_scores", "gradient_checkpointing", "return_dict", "torchscript", "attn_implementation", "use_bfloat16",
    "tf_legacy_loss", "pretraining_tp", "chunk_size_feed_forward",
    "cache_implementation", "keys_to_ignore_at_inference", "n_ctx", "is_decoder",
    // how text is generated
    "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty",
    "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens",
  ]
}
